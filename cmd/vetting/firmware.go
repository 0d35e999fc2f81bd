package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/core/problem"
	"vetting/firmware/baseline"
	"vetting/firmware/catalogue"
)

// parseBaseline reads a firmware baseline. The error is a *core.Problem that names
// every field that makes no sense and shows its line and column, which its details
// "line" and "column" hold as numbers, of the first fault where there are several.
func parseBaseline(text string) (*baseline.Baseline, error) {
	b := &baseline.Baseline{}

	if err := decodeSent([]byte(text), b); err != nil {
		return nil, refusal(problem.FirmwareBadBaseline, "The firmware baseline cannot be read:", err)
	}

	if err := b.Validate(); err != nil {
		return nil, refusal(problem.FirmwareBadBaseline, "The firmware baseline makes no sense:", place(text, err)...)
	}

	return b, nil
}

// firmwareJudge holds the firmware of runs against texts of rules.
type firmwareJudge struct{}

// Catalogue returns the text of firmware that is known to be bad.
func (firmwareJudge) Catalogue() string { return catalogue.Text() }

// Check says what is wrong with a baseline.
func (firmwareJudge) Check(text string) error {
	_, err := parseBaseline(text)

	return err
}

// Judge holds what a run found against the texts that were frozen with it.
func (firmwareJudge) Judge(texts core.FirmwareTexts, c *core.FirmwareCase) (core.FirmwareJudgement, error) {
	operator, err := parseBaseline(texts.Baseline)
	if err != nil {
		return core.FirmwareJudgement{}, err
	}

	known, err := parseBaseline(texts.Catalogue)
	if err != nil {
		return core.FirmwareJudgement{}, err
	}

	return baseline.Judge(operator, known, c), nil
}

// maxBaseline bounds the text that is read of a file, in bytes.
const maxBaseline = 1 << 20

// baselineCheckCommand reads a firmware baseline and says what its rules come to. It
// asks no appliance.
func (c *cli) baselineCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Read a firmware baseline and name every fault; - reads standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in := cmd.InOrStdin()

			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("reading the baseline: %w", err)
				}

				defer file.Close() //nolint:errcheck // nothing was written

				in = file
			}

			text, err := io.ReadAll(io.LimitReader(in, maxBaseline))
			if err != nil {
				return fmt.Errorf("reading the baseline: %w", err)
			}

			b, err := parseBaseline(string(text))
			if err != nil {
				var p *core.Problem
				if errors.As(err, &p) {
					return errors.New(p.Message)
				}

				return err
			}

			return c.tellRules(b)
		},
	}
}

// tellRules prints the rules of a baseline.
func (c *cli) tellRules(b *baseline.Baseline) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(table, "RULE\tPART\tFOR\tMUST BE\tELSE"); err != nil {
		return err
	}

	for i := range b.Rules {
		r := &b.Rules[i]
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Part, r.About(), r.Want(), r.Else()); err != nil {
			return err
		}
	}

	return table.Flush()
}
