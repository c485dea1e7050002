module temporal-ui-pinned

go 1.26.5

require github.com/temporalio/ui-server/v2 v2.54.1
