"""Sequential requests over one session: client.py BASE PREFIX COUNT asks BASE/PREFIX-0 …"""

import sys

import requests

base, prefix, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
session = requests.Session()
session.trust_env = False
for i in range(count):
    session.get(f"{base}/{prefix}-{i}", timeout=30).raise_for_status()
print("READY", flush=True)
