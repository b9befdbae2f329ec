"""The running whole: what joins the pure rooms to the journal, the key folder, the bucket and the clock.

Read `perform` (a rule's decision becomes events), `collect` (many calls, one sync), `publish` (versions of the public
set), `follow` (the ledger at the tip), then `deployment`, `founding`, `settings`, `key_folder`, `codes`, `clock`.
"""
