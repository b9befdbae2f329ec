"""Where files live: how one outlives a loss of power, a bucket as a port, and the local folder that is one.

Read `port` (what a bucket promises), `durable`, then `folder`. Remote stores come with their own module and the same
promises.
"""
