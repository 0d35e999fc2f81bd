package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vetting/cmd/vetting/install"
	"vetting/cmd/vetting/operator"
)

// manPages are the manual pages, made from the tables that the program itself works by:
// vetting(1), one of each command below it, and vetting.yaml(5).
func manPages(root *cobra.Command) []install.Manual {
	common, version := commonFlags(root), version()
	pages := []install.Manual{{Name: "vetting.1", Text: overviewPage(root, common, version)}, {Name: "vetting.yaml.5", Text: configPage(version)}}

	for _, c := range shownCommands(root) {
		pages = append(pages, install.Manual{Name: "vetting-" + c.Name() + ".1", Text: commandManual(c, common, version)})
	}

	return pages
}

// shownCommands are the commands below one that people are told of.
func shownCommands(cmd *cobra.Command) (list []*cobra.Command) {
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.Name() != "help" {
			list = append(list, c)
		}
	}

	return list
}

// commonFlags are those of all commands that talk to an appliance.
func commonFlags(root *cobra.Command) *pflag.FlagSet {
	cmd, _, err := root.Find([]string{"status"})
	if err != nil {
		return &pflag.FlagSet{}
	}

	return cmd.Flags()
}

// ownFlags calls each for the flags of a command that are explained with it: not those
// that are common, too.
func ownFlags(c *cobra.Command, common *pflag.FlagSet, each func(*pflag.Flag)) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		same := common.Lookup(f.Name)
		if !f.Hidden && f.Name != "help" && (same == nil || same.Usage != f.Usage) {
			each(f)
		}
	})
}

// meaningOf says what a flag is for, and what it is where it is not given.
func meaningOf(f *pflag.Flag) (meaning, otherwise string) {
	switch f.DefValue {
	case "", "false", "[]", "0", "0s":
		return f.Usage, ""
	default:
		return f.Usage, f.DefValue
	}
}

// roff writes a manual page (man(7)).
type roff struct{ strings.Builder }

// words writes text that is text: no escape and no request, whatever is in it.
func (r *roff) words(text string) {
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			r.WriteByte('\n')
		}

		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			r.WriteString(`\&`)
		}

		for _, c := range line {
			switch {
			case c == '\\':
				r.WriteString(`\e`)
			case c == '-':
				r.WriteString(`\-`)
			case c == '\'':
				r.WriteString(`\(aq`)
			case c == '`':
				r.WriteString(`\(ga`)
			case c == '^':
				r.WriteString(`\(ha`)
			case c == '~':
				r.WriteString(`\(ti`)
			case c > '~':
				fmt.Fprintf(r, `\[u%04X]`, c)
			default:
				r.WriteRune(c)
			}
		}
	}
}

func (r *roff) head(name, section, version, about string) {
	fmt.Fprintf(r, ".TH %q %s \"\" ", strings.ToUpper(name), section)
	r.quoted("vetting " + version)
	r.WriteString(" \"vetting\"\n.SH NAME\n")
	r.words(name)
	r.WriteString(" \\- ")
	r.words(about)
	r.WriteString("\n")
}

func (r *roff) quoted(text string) {
	r.WriteByte('"')
	r.words(strings.ReplaceAll(text, `"`, `'`))
	r.WriteByte('"')
}

// section begins one; with a small title it is one within another.
func (r *roff) section(request, title string) {
	r.WriteString(request + " ")
	r.quoted(title)
	r.WriteByte('\n')
}

func (r *roff) paragraph(text string) {
	r.WriteString(".PP\n")
	r.words(text)
	r.WriteByte('\n')
}

// row is a word and what it means.
func (r *roff) row(word, meaning string) {
	r.WriteString(".TP\n\\fB")
	r.words(word)
	r.WriteString("\\fR\n")
	r.words(meaning)
	r.WriteByte('\n')
}

// verbatim writes lines as they are.
func (r *roff) verbatim(text string) {
	r.WriteString(".PP\n.RS 4\n.nf\n")
	r.words(text)
	r.WriteString("\n.fi\n.RE\n")
}

func (r *roff) flag(f *pflag.Flag) {
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}

	if kind := f.Value.Type(); kind != "bool" {
		name += " " + strings.ToUpper(kind)
	}

	meaning, otherwise := meaningOf(f)
	if otherwise != "" {
		meaning += " (default " + otherwise + ")"
	}

	r.row(name, meaning)
}

// fullStop ends a text as one.
func fullStop(text string) string { return strings.TrimSuffix(text, ".") + "." }

func (r *roff) command(c *cobra.Command, common *pflag.FlagSet) {
	r.paragraph(fullStop(c.Short))

	if c.Long != "" {
		r.paragraph(c.Long)
	}

	if len(c.Aliases) > 0 {
		r.paragraph("Also called " + strings.Join(c.Aliases, ", ") + ".")
	}

	ownFlags(c, common, r.flag)

	if c.Example != "" {
		r.verbatim(strings.ReplaceAll("\n"+c.Example, "\n  ", "\n")[1:])
	}
}

// below writes the commands that are part of one.
func (r *roff) below(cmd *cobra.Command, common *pflag.FlagSet) {
	for _, c := range shownCommands(cmd) {
		r.section(".SS", strings.TrimSuffix(c.UseLine(), " [flags]"))
		r.command(c, common)
		r.below(c, common)
	}
}

// commandManual is the page of a command with its parts.
func commandManual(c *cobra.Command, common *pflag.FlagSet, version string) string {
	r := &roff{}
	r.head("vetting-"+c.Name(), "1", version, strings.TrimSuffix(c.Short, "."))
	r.section(".SH", "SYNOPSIS")
	r.WriteString(".B ")

	use := strings.TrimSuffix(c.UseLine(), " [flags]")
	if c.HasSubCommands() && !strings.Contains(c.Use, " ") {
		use += " COMMAND"
	}

	r.words(use)
	r.WriteString("\n.RI [ flags ]\n")
	r.section(".SH", "DESCRIPTION")
	r.command(c, common)

	if c.HasSubCommands() {
		r.section(".SH", "COMMANDS")
		r.below(c, common)
	}

	r.section(".SH", "SEE ALSO")
	r.words("vetting(1) has the flags of all commands and the exit codes; vetting.yaml(5)\n")

	return r.String()
}

// overviewPage is vetting(1).
func overviewPage(root *cobra.Command, common *pflag.FlagSet, version string) string {
	r := &roff{}
	r.head("vetting", "1", version, strings.TrimSuffix(root.Short, "."))
	r.section(".SH", "SYNOPSIS")
	r.WriteString(".B vetting COMMAND\n.RI [ flags ]\n")

	if root.Long != "" {
		r.section(".SH", "DESCRIPTION")
		r.paragraph(root.Long)
	}

	r.section(".SH", "COMMANDS")

	for _, c := range shownCommands(root) {
		r.row(c.Name(), fullStop(c.Short)+" See vetting-"+c.Name()+"(1).")
	}

	r.section(".SH", "OPTIONS OF COMMANDS THAT TALK TO AN APPLIANCE")
	common.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			r.flag(f)
		}
	})
	r.section(".SH", "EXIT STATUS")

	for code, meaning := range operator.Codes() {
		r.row(fmt.Sprint(code), meaning)
	}

	r.section(".SH", "ENVIRONMENT")

	for _, v := range [][2]string{
		{"VETTING_SERVER", "address of the appliance, as --server"},
		{"VETTING_TOKEN", "API token; vetting token create makes one"},
		{"VETTING_CERT", "the appliance's certificate, as --cert"},
		{"VETTING_CONFIG", "configuration file, as --config"},
	} {
		r.row(v[0], v[1])
	}

	r.section(".SH", "FILES")
	r.row(install.ConfigPath, "the configuration; see vetting.yaml(5)")
	r.section(".SH", "SEE ALSO")
	r.words("vetting.yaml(5); the pages of vetting docs\n")

	return r.String()
}

// configPage is vetting.yaml(5).
func configPage(version string) string {
	r, defaults := &roff{}, Defaults()
	r.head("vetting.yaml", "5", version, "configuration of the vetting appliance")
	r.section(".SH", "DESCRIPTION")
	r.paragraph("A flag counts over a variable of the environment, that over this file, and the file over what was set in the console. " +
		"Unknown keys are errors. vetting config init prints a commented file, vetting config check FILE names every fault, and vetting config schema is for editors.")
	r.section(".SH", "KEYS")

	for _, s := range slices.Concat(settings(), lists()) {
		meaning := fullStop(s.doc)

		if s.at != nil {
			if value := s.value(&defaults); value != `""` {
				meaning += " Default: " + value + "."
			}

			meaning += " Variable: " + s.env() + "."
		}

		r.row(s.key, meaning)
	}

	r.section(".SH", "FILES")
	r.row(install.ConfigPath, "where it is looked for")
	r.section(".SH", "SEE ALSO")
	r.words("vetting(1), vetting-config(1)\n")

	return r.String()
}

func (c *cli) manCommand() *cobra.Command {
	var to string

	cmd := &cobra.Command{
		Use: "man [PAGE]", Short: "Print a manual page, or write all of them into a folder", Args: oneArg,
		Long:    "The page of this program without an argument, else that of a command, as in: vetting man run. The installation puts them where man finds them.",
		Example: "  vetting man run | man -l -\n  vetting man --to ~/.local/share/man",
		RunE: func(cmd *cobra.Command, args []string) error {
			pages := manPages(cmd.Root())
			if to != "" {
				return writeManual(to, pages)
			}

			name := "vetting"
			if len(args) > 0 && args[0] != name {
				name = strings.TrimSuffix("vetting-"+strings.TrimPrefix(args[0], "vetting-"), ".yaml")
				if strings.HasPrefix(args[0], "vetting.yaml") {
					name = "vetting.yaml"
				}
			}

			for _, page := range pages {
				if strings.TrimSuffix(page.Name, filepath.Ext(page.Name)) == name {
					_, err := fmt.Fprint(c.out, page.Text)

					return err
				}
			}

			return &usageError{fmt.Errorf("there is no page %q; name a command of: vetting --help, or vetting.yaml", args[0])}
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "folder to write all pages below, in man1 and man5")

	return cmd
}

func writeManual(to string, pages []install.Manual) error {
	for _, page := range pages {
		path := filepath.Join(to, page.Path())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // pages are for everybody
			return err
		}

		if err := os.WriteFile(path, []byte(page.Text), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}

	return nil
}
