package operator

import "github.com/spf13/cobra"

const batchColumns = "name created=created_at|time by=created_by profiles hosts pass fail holding running queued cancelled left=left_s|seconds"

func (e *Env) batchesCommand() *cobra.Command {
	return e.group("batch", "Runs that are looked at together: vetting run start --batch NAME",
		verb{use: "list", aliases: []string{"ls"}, short: "List batches, the newest first, with how their hosts stand", route: "batches.list", sheet: sheet{
			list: "batches", columns: batchColumns, name: "name",
		}},
		verb{
			use: "show BATCH…", short: "Show batches with the last run of each host", route: "batches.get",
			example: "  vetting batch show delivery-7\n  vetting report batch --batch delivery-7 --format zip --to delivery-7.zip",
			sheet:   sheet{columns: batchColumns, name: "name", more: []sheet{{list: "runs", columns: runColumns, name: "id"}}},
		},
	)
}
