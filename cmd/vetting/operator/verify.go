package operator

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/report/seal"
	uitext "vetting/ui/text"
)

// verifyCommand checks a report without an appliance.
func (e *Env) verifyCommand() *cobra.Command {
	var (
		trusted []string
		run     string
	)

	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check that a report is as an appliance signed it; needs no network and no appliance",
		Long: "FILE is a report as HTML or JSON, - for standard input. One changed byte in it is told. The signature says that whoever has the key wrote the file; " +
			"whose key it is, only you can say: name those that you trust with --key. vetting report keys -o json at the appliance lists its keys, " +
			"those of earlier times too, and such a list may be the argument of --key.\n\n" +
			"Ends with 0 when the file is as it was signed (by one of these keys, of that run), with 1 when it is not or cannot be read, with 2 when the command line makes no sense. " +
			"What the verdict in the report is makes no difference.",
		Example: "  vetting report verify rack3-u17.html\n  vetting report verify --key keys.json --run 01KBAC30M8R2FJ3W9G5TQ4XNVD rack3-u17.json",
		Args:    count(words("verify FILE")),
		RunE: func(_ *cobra.Command, args []string) error {
			content, err := readReport(args[0])
			if err != nil {
				return err
			}

			good, err := trust(trusted)
			if err != nil {
				return err
			}

			checked, err := seal.Verify(content)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}

			if err := fits(&checked, good, run); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}

			return tell(e.Out, &checked, good)
		},
	}
	cmd.Flags().StringArrayVar(&trusted, "key", nil,
		"a key to trust: its fingerprint (SHA256:…), its id, itself in base64, or a file with such or with the list of an appliance; may be given again")
	cmd.Flags().StringVar(&run, "run", "", "the run that it must be the report of")

	return cmd
}

func readReport(name string) (content []byte, err error) {
	file := os.Stdin

	if name != "-" {
		if file, err = os.Open(name); err != nil { //nolint:gosec // the person names it
			return nil, fmt.Errorf("opening the report: %w", err)
		}

		defer func() { _ = file.Close() }()
	}

	content, err = io.ReadAll(io.LimitReader(file, seal.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}

	if len(content) > seal.MaxFile {
		return nil, fmt.Errorf("%s: it is larger than any report, %d MiB", name, seal.MaxFile>>20)
	}

	return content, nil
}

// trust reads what --key names into fingerprints.
func trust(named []string) (good []string, err error) {
	for _, name := range named {
		content, err := os.ReadFile(name) //nolint:gosec // the person names it
		if errors.Is(err, fs.ErrNotExist) {
			content, err = []byte(name), nil
		}

		if err != nil {
			return nil, fmt.Errorf("reading --key: %w", err)
		}

		some, err := fingerprints(content)
		if err != nil {
			return nil, usage("--key %s: %w", uitext.Line(name), err)
		}

		good = append(good, some...)
	}

	return good, nil
}

// fingerprints reads keys: a list of an appliance in JSON, or one to a line.
func fingerprints(content []byte) (found []string, err error) {
	var list route.ReportKeyList

	if json.Unmarshal(content, &list) == nil || json.Unmarshal(content, &list.Keys) == nil {
		for i := range list.Keys {
			found = append(found, core.KeyFingerprint(list.Keys[i].Public))
		}

		content = nil
	}

	for line := range strings.FieldsSeq(string(content)) {
		public, err := base64.StdEncoding.DecodeString(line)

		switch {
		case strings.HasPrefix(line, "SHA256:") || len(line) == 32:
			found = append(found, line)
		case err == nil && len(public) == ed25519.PublicKeySize:
			found = append(found, core.KeyFingerprint(public))
		default:
			return nil, fmt.Errorf("%.60q is no file, no fingerprint and no key", line)
		}
	}

	if len(found) == 0 {
		return nil, errors.New("there is no key in it")
	}

	return found, nil
}

// fits says why a report that is as it was signed is not the one that was asked for.
func fits(checked *seal.Checked, good []string, run string) error {
	if good != nil && !slices.Contains(good, checked.Fingerprint()) && !slices.Contains(good, core.KeyID(checked.Public)) {
		return fmt.Errorf("it is as it was signed, but with the key %s, which is none of those that you trust", checked.Fingerprint())
	}

	if is := string(checked.Report.Run.ID); run != "" && is != run {
		return fmt.Errorf("it is as it was signed, but it is the report of run %s, not of %s", uitext.Line(is), uitext.Line(run))
	}

	return nil
}

// tell says what was found good.
func tell(out io.Writer, checked *seal.Checked, good []string) error {
	r := &checked.Report

	kind := "JSON"
	if checked.Page {
		kind = "page"
	}

	verdict := strings.ToUpper(string(r.Verdict.Kind))
	if r.Preliminary {
		verdict = "PRELIMINARY, not decided"
	}

	lines := []string{
		"The " + kind + " is as it was signed.",
		"  verdict    " + uitext.Line(verdict) + ": " + uitext.Line(r.Summary),
		"  host       " + uitext.Line(strings.Join([]string{r.Host.Name, string(r.Host.MAC), r.Host.Manufacturer, r.Host.Product, r.Host.Serial}, " ")),
		"  run        " + uitext.Line(string(r.Run.ID)) + ", profile " + uitext.Line(r.Run.Profile),
		"  written    " + uitext.UTC(r.GeneratedAt) + " by " + uitext.Line(r.Appliance.Name) + " " + uitext.Line(r.Appliance.ID),
		"  key        " + checked.Fingerprint(),
	}

	if b := checked.Batch; b != nil {
		lines = []string{
			"The " + kind + " is as it was signed.",
			fmt.Sprintf("  hosts      %d: %d pass, %d fail, %d error, %d cancelled, %d not decided", b.Totals.Hosts, b.Totals.Pass, b.Totals.Fail, b.Totals.Error,
				b.Totals.Cancelled, b.Totals.Undecided),
			"  of         " + uitext.Line(strings.TrimSpace(strings.Join([]string{b.Of.Day, b.Of.Tag, b.Of.Rack, b.Of.Profile}, " "))),
			"  written    " + uitext.UTC(b.GeneratedAt) + " by " + uitext.Line(b.Appliance.Name) + " " + uitext.Line(b.Appliance.ID),
			"  key        " + checked.Fingerprint(),
		}
	}

	if good == nil {
		lines = append(lines, "Whether that key is the appliance's, the file cannot say: compare it with vetting report keys there, or name those that you trust with --key.")
	}

	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))

	return err
}
