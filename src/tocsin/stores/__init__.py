"""Where files live: a bucket as a port, and the local folder that is one.

Read `port` (what a bucket promises), then `folder`. Remote stores come with their own module and the same promises.
"""
