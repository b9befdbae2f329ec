"""What apps ask for, anonymously: one call to post, and static files to fetch. Read `intake` first."""
