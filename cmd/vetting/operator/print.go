package operator

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Lister declares the flags -o and -q on a command that asks no appliance, and returns
// what shows a list that the command has found: the field list of value, with columns
// "head=path" parted by blanks.
func Lister(cmd *cobra.Command, out io.Writer, list, columns, name string) func(value any) error {
	format := outputFlags(cmd, nil)

	return func(value any) error {
		if err := format.check(); err != nil {
			return err
		}

		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing the list: %w", err)
		}

		page := format.printer(out, sheet{list: list, columns: columns, name: name})
		if err := page.show(text); err != nil {
			return err
		}

		return page.close()
	}
}
