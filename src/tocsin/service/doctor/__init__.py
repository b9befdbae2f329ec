"""The doctor: looks at everything a deployment stands on, beside a server that runs, and says what is wrong.

It changes nothing, asks for no reading of the whole journal (that is `tocsin journal verify`), and goes on when half of
what it looks at is broken: each check is by itself, with a deadline of its own.

Read in this order: `finding` (the closed list of what can be found), `subject` (what is looked at), `examination`
(the order of the checks, and what becomes of one that fails itself), then a module a check.
"""
