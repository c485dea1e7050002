"""What calls, bursts, outages and many jobs cost on a cluster (`make bench-cluster`)."""
