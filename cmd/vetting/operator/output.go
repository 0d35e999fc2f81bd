package operator

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// output is how a command shows what it got.
type output struct {
	format string
	quiet  bool
	also   []string // formats that only this command has
	cmd    *cobra.Command
}

func formats() []string { return []string{"table", "json", "yaml", "csv", "name"} }

func outputFlags(cmd *cobra.Command, also []string) *output {
	out := &output{also: also, cmd: cmd}
	all := slices.Concat(formats(), also)

	cmd.Flags().StringVarP(&out.format, "output", "o", "table", strings.Join(all, ", ")+"; json and yaml have the fields of the API")
	cmd.Flags().BoolVarP(&out.quiet, "quiet", "q", false, "say nothing but errors")

	// It only fails for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp))

	return out
}

func (o *output) check() error {
	if known := slices.Concat(formats(), o.also); !slices.Contains(known, o.format) {
		return usage("-o %s: choose one of %s", o.format, strings.Join(known, ", "))
	}

	return nil
}

// printer writes answers in the format that was asked for.
type printer struct {
	format string
	sheet  sheet
	out    io.Writer
	table  *tabwriter.Writer
	csv    *csv.Writer
	headed bool
	paints bool // words that tell how things stand are coloured
}

func (o *output) printer(out io.Writer, s sheet) *printer {
	if o.quiet {
		out = io.Discard
	}

	page := &printer{format: o.format, sheet: s, out: out, csv: csv.NewWriter(out), paints: o.format == "table" && coloured(o.cmd, out)}
	page.table = page.aligned(0)

	return page
}

// aligned makes a table that is indented by least cells.
func (p *printer) aligned(least int) *tabwriter.Writer {
	if p.paints {
		return tabwriter.NewWriter(painter{p.out}, least, 4, 2, ' ', 0)
	}

	return tabwriter.NewWriter(p.out, least, 4, 2, ' ', 0)
}

// say writes a sentence for people; programs have the exit code.
func (p *printer) say(sentence string) error {
	if p.format != "table" {
		return nil
	}

	_, err := fmt.Fprintln(p.out, sentence)

	return err
}

// show writes an answer.
func (p *printer) show(answer []byte) error {
	switch p.format {
	case "json":
		return p.json(answer)
	case "yaml":
		return p.yaml(answer)
	}

	rows, err := rowsOf(answer, p.sheet.list)
	if err != nil {
		return err
	}

	switch {
	case p.format == "name":
		return p.names(rows)
	case p.format == "csv":
		return p.spread(rows)
	case p.sheet.list == "":
		return p.describe(rows)
	default:
		return p.tabulate(rows)
	}
}

// close writes what was held back to be aligned.
func (p *printer) close() error {
	p.csv.Flush()

	if err := p.csv.Error(); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}

	return p.table.Flush()
}

func (p *printer) json(answer []byte) error {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, answer, "", "  "); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}

	pretty.WriteByte('\n')

	_, err := pretty.WriteTo(p.out)

	return err
}

func (p *printer) yaml(answer []byte) error {
	text, err := toYAML(answer)
	if err != nil {
		return err
	}

	if p.headed {
		text = append([]byte("---\n"), text...)
	}

	p.headed = true

	_, err = p.out.Write(text)

	return err
}

func (p *printer) names(rows []any) error {
	for _, row := range rows {
		if _, err := fmt.Fprintln(p.out, clean(plain(at(row, p.sheet.name)))); err != nil {
			return err
		}
	}

	return nil
}

// spread writes rows as CSV (RFC 4180).
func (p *printer) spread(rows []any) error {
	list := p.sheet.fields()

	if !p.headed {
		head := make([]string, 0, len(list))
		for _, c := range list {
			head = append(head, c.path)
		}

		if err := p.csv.Write(head); err != nil {
			return fmt.Errorf("writing CSV: %w", err)
		}

		p.headed = true
	}

	for _, row := range rows {
		cells := make([]string, 0, len(list))
		for _, c := range list {
			cells = append(cells, harmless(at(row, c.path)))
		}

		if err := p.csv.Write(cells); err != nil {
			return fmt.Errorf("writing CSV: %w", err)
		}
	}

	return nil
}

// tabulate writes rows under a head.
func (p *printer) tabulate(rows []any) error {
	list := p.sheet.fields()

	if !p.headed {
		head := make([]string, 0, len(list))
		for _, c := range list {
			head = append(head, p.toned(c.head, strings.ToUpper(c.head)))
		}

		if _, err := fmt.Fprintln(p.table, strings.Join(head, "\t")); err != nil {
			return err
		}

		p.headed = true
	}

	for _, row := range rows {
		cells := make([]string, 0, len(list))
		for _, c := range list {
			cells = append(cells, p.toned(c.head, c.show(row)))
		}

		if _, err := fmt.Fprintln(p.table, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}

	return nil
}

// describe writes one thing, a field to a line, and its lists below.
func (p *printer) describe(rows []any) error {
	for _, row := range rows {
		if p.headed {
			fmt.Fprintln(p.table)
		}

		p.headed = true

		for _, c := range p.sheet.fields() {
			if text := c.show(row); text != "" {
				fmt.Fprintf(p.table, "%s\t%s\n", strings.ToUpper(c.head), p.toned(c.head, text))
			}
		}

		if err := p.table.Flush(); err != nil {
			return err
		}

		if err := p.below(row); err != nil {
			return err
		}
	}

	return nil
}

// below writes the lists within one thing.
func (p *printer) below(row any) error {
	for _, part := range p.sheet.more {
		inner := within(row, strings.Split(part.list, "."))
		if len(inner) == 0 {
			continue
		}

		title := part.list[strings.LastIndex(part.list, ".")+1:]
		fmt.Fprintf(p.out, "\n%s\n", strings.ToUpper(strings.ReplaceAll(title, "_", " ")))

		q := &printer{format: "table", sheet: part, out: p.out, table: p.aligned(2), csv: p.csv, paints: p.paints}
		if err := q.tabulate(inner); err != nil {
			return err
		}

		if err := q.table.Flush(); err != nil {
			return err
		}
	}

	return nil
}
