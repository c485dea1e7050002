module temporal-server-1.31.5-pinned

go 1.26.10

require go.temporal.io/server v1.31.5

require go.temporal.io/auto-scaled-workers v0.0.1-1.31.2 // indirect

// The version that the server asks for is not served; this is that of 1.31.2. It starts workers in the cloud, which nothing here does.
replace go.temporal.io/auto-scaled-workers => go.temporal.io/auto-scaled-workers v0.0.0-20260407181057-edd947d743d2
