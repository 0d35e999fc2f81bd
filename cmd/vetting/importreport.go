package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	sealing "vetting/ui/report/seal"
	uitext "vetting/ui/text"
)

func (c *cli) importCommand() *cobra.Command {
	var trust bool

	cmd := &cobra.Command{
		Use: "import FILE...", Short: "Take over reports that another appliance has signed; run it where the appliance runs",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{fmt.Errorf("name a report, the JSON or the page, as the other appliance has written it")}
			}

			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			for _, name := range args {
				text, err := readReport(name)
				if err != nil {
					return err
				}

				said, err := askControl(cmd.Context(), config.DataDir, controlRequest{Report: text, Trust: trust})
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}

				if _, err := fmt.Fprintf(c.out, "%s: %s\n", name, said); err != nil {
					return err
				}
			}

			return nil
		},
	}
	settingFlags(cmd, "data-dir")
	cmd.Flags().BoolVar(&trust, "trust", false, "take over reports of a key that none was taken over of yet; compare it first")

	return cmd
}

func readReport(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // a file that a person names
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	defer file.Close() //nolint:errcheck // opened for reading

	text, err := io.ReadAll(io.LimitReader(file, sealing.MaxFile+1))

	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the report: %w", err)
	case len(text) > sealing.MaxFile:
		return nil, fmt.Errorf("%s is larger than any report", name)
	}

	return text, nil
}

// ImportReport takes over a report; see controlRequest.
func (s smith) ImportReport(ctx context.Context, text []byte, trust bool) (string, error) {
	checked, err := sealing.Verify(text)
	if err != nil {
		return "", err
	}

	fresh, err := s.appliance.engine.ImportReport(ctx, "local", &checked.Report, checked.Public, trust)

	switch r := &checked.Report; {
	case err != nil:
		return "", err
	case !fresh:
		return fmt.Sprintf("the run %s is here already", r.Run.ID), nil
	default:
		return fmt.Sprintf("run %s of %s: %s", r.Run.ID, uitext.Line(r.Host.Name), uitext.Line(r.Verdict.Words)), nil
	}
}

// ImportReport refuses: the ledger of an appliance that does not run is taken care of by
// nobody.
func (offline) ImportReport(context.Context, []byte, bool) (string, error) {
	return "", errors.New("the appliance does not run")
}
