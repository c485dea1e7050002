module temporal-server-pinned

go 1.26.10

require go.temporal.io/server v1.32.2
