// Package sheet reads and writes hosts as CSV with the headers of NetBox's import
// of devices, so that one file serves both. NetBox keeps MAC addresses apart from
// devices: here they stand in mac_address and aliases. What people upload is
// hostile input, and so is what machines say of themselves: cells that a
// spreadsheet would take for a formula get a quote.
package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"vetting/core"
)

// MaxRows bounds a list that is read: the engine takes no more in one write.
const MaxRows = 2000

// columns are those written, in their order.
func columns() []string {
	return []string{
		"name", "manufacturer", "device_type", "serial", "asset_tag", "status", "rack", "position", "comments", "tags",
		"mac_address", "aliases", "power",
	}
}

// Line is a host and what its last run found it to be.
type Line struct {
	Host    core.Host
	Machine core.System
}

// Write writes a header and a row for each host.
func Write(w io.Writer, lines []Line) error {
	out := csv.NewWriter(w)
	rows := [][]string{columns()}

	for i := range lines {
		rows = append(rows, cells(&lines[i]))
	}

	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("writing hosts as CSV: %w", err)
	}

	return nil
}

func cells(l *Line) []string {
	h := &l.Host
	rack, position, _ := strings.Cut(h.Rack, "/U")
	aliases := make([]string, 0, len(h.Aliases))

	for _, mac := range h.Aliases {
		aliases = append(aliases, string(mac))
	}

	row := []string{
		h.Name, l.Machine.Manufacturer, h.Class, l.Machine.Serial, h.AssetTag, status(h), rack, position, h.Notes,
		strings.Join(h.Tags, ","), string(h.MAC), strings.Join(aliases, " "), string(h.Power.Method),
	}
	for i := range row {
		row[i] = Guard(row[i])
	}

	return row
}

// status is the nearest word that NetBox has.
func status(h *core.Host) string {
	switch h.LastVerdict {
	case core.Pass:
		return "staged"
	case core.Fail:
		return "failed"
	default:
		return "inventory"
	}
}

// Guard puts a quote before what a spreadsheet would compute.
func Guard(cell string) string {
	if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r'") {
		return "'" + cell
	}

	return cell
}

// unguard takes the quote away again.
func unguard(cell string) string {
	if rest, ok := strings.CutPrefix(cell, "'"); ok && Guard(rest) != rest {
		return rest
	}

	return cell
}

// Row is one host as a list tells it.
type Row struct {
	Line  int // in the file, 1 for the header
	MAC   core.MAC
	Name  string
	Err   error // why it cannot be taken: a *core.Problem
	cells map[string]string
}

// Read reads a list: a header, then a row for each host. Commas, semicolons or
// tabs stand between cells; columns of unknown names are passed over. A list that
// begins with an address has no header: it is an address in each line, and perhaps a
// name behind it. The error is of the list as a whole, a *core.Problem.
func Read(text []byte) ([]Row, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	text, above := headed(text)
	in := csv.NewReader(bytes.NewReader(text))
	in.Comma, in.FieldsPerRecord = separator(text), -1
	in.TrimLeadingSpace = in.Comma != '\t' // it would eat empty cells

	header, err := in.Read()
	if err != nil {
		return nil, refused(1, err)
	}

	names, err := readHeader(header)
	if err != nil {
		return nil, err
	}

	rows, seen := []Row{}, map[core.MAC]int{}

	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}

		if err != nil {
			return nil, refused(len(rows)+2-above, err)
		}

		line, _ := in.FieldPos(0)
		line -= above

		if len(rows) == MaxRows {
			return nil, core.NewProblem(core.ErrInvalid, "host/bad-list", fmt.Sprintf("A list has %d hosts at most; split it.", MaxRows))
		}

		rows = append(rows, readRow(line, names, record, seen))
	}
}

// headed gives a list of mere addresses the header that it lacks, and a name to those
// that have none; above is how many lines stand above it then.
func headed(text []byte) (list []byte, above int) {
	between := func(r rune) bool { return strings.ContainsRune(",; \t\r", r) }
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")

	cells := strings.FieldsFunc(first, between)
	if len(cells) == 0 {
		return text, 0
	}

	if _, err := core.ParseMAC(cells[0]); err != nil {
		return text, 0
	}

	rows := [][]string{{"mac_address", "name"}}

	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.FieldsFunc(line, between)

		switch len(cells) {
		case 0:
			rows = append(rows, nil)
		case 1:
			rows = append(rows, []string{cells[0], nameless(cells[0])})
		default:
			rows = append(rows, []string{cells[0], strings.Join(cells[1:], " ")})
		}
	}

	var out bytes.Buffer

	for _, row := range rows {
		// An empty line stays one, so that lines have the numbers that people see.
		if row == nil {
			out.WriteByte('\n')

			continue
		}

		w := csv.NewWriter(&out)
		_ = w.Write(row) // a buffer takes all

		w.Flush()
	}

	return out.Bytes(), 1
}

// nameless is the name of a host of which only the address is known.
func nameless(address string) string {
	mac, err := core.ParseMAC(address)
	if err != nil {
		return ""
	}

	return "host-" + strings.ReplaceAll(string(mac), ":", "")[6:]
}

// separator guesses what stands between cells by the header.
func separator(text []byte) rune {
	header, _, _ := bytes.Cut(text, []byte("\n"))

	for _, c := range ",;\t" {
		if bytes.ContainsRune(header, c) {
			return c
		}
	}

	return ','
}

func refused(line int, err error) error {
	var parse *csv.ParseError

	switch {
	case errors.Is(err, io.EOF):
		return core.NewProblem(core.ErrInvalid, "host/bad-list", "The list is empty; its first line names the columns.")
	case errors.As(err, &parse):
		return core.NewProblem(core.ErrInvalid, "host/bad-list",
			fmt.Sprintf("The list is not CSV: line %d, column %d: %v.", parse.Line, parse.Column, parse.Err))
	default:
		return core.NewProblem(core.ErrInvalid, "host/bad-list", fmt.Sprintf("The list cannot be read in line %d.", line))
	}
}

// readHeader returns the names of the columns; those with other names in use are
// called ours.
func readHeader(header []string) ([]string, error) {
	names := make([]string, 0, len(header))

	for _, cell := range header {
		name := strings.ToLower(strings.TrimSpace(cell))

		switch name {
		case "mac", "primary_mac_address":
			name = "mac_address"
		case "description", "notes":
			name = "comments"
		}

		if slices.Contains(names, name) && slices.Contains(columns(), name) {
			return nil, core.NewProblem(core.ErrInvalid, "host/bad-list", fmt.Sprintf("The column %.40q is there twice.", name))
		}

		names = append(names, name)
	}

	if !slices.Contains(names, "mac_address") {
		return nil, core.NewProblem(core.ErrInvalid, "host/bad-list",
			"The first line names the columns, and one of them must be mac_address; get the list of all hosts to see its form.")
	}

	return names, nil
}

func readRow(line int, names, record []string, seen map[core.MAC]int) Row {
	row := Row{Line: line, cells: map[string]string{}}

	for i, cell := range record {
		if i < len(names) {
			row.cells[names[i]] = unguard(strings.TrimSpace(cell))
		}
	}

	row.Name = row.cells["name"]

	switch row.MAC, row.Err = core.ParseMAC(row.cells["mac_address"]); {
	case row.Err != nil:
	case len(record) > len(names):
		row.Err = core.NewProblem(core.ErrInvalid, "host/bad-list", "The row has more cells than the first line has names.")
	case seen[row.MAC] > 0:
		row.Err = core.NewProblem(core.ErrInvalid, "host/bad-list", fmt.Sprintf("The address %s stands in line %d already.", row.MAC, seen[row.MAC]))
	default:
		seen[row.MAC] = line
		row.Err = row.Apply(&core.Host{})
	}

	return row
}

// Apply gives the host what the row says; what has no column stays.
func (r *Row) Apply(h *core.Host) error {
	for name, to := range map[string]*string{
		"name": &h.Name, "asset_tag": &h.AssetTag, "device_type": &h.Class, "comments": &h.Notes,
	} {
		if cell, ok := r.cells[name]; ok {
			*to = cell
		}
	}

	if rack, ok := r.cells["rack"]; ok {
		h.Rack = rack
		if position := r.cells["position"]; position != "" {
			h.Rack += "/U" + strings.TrimSuffix(position, ".0")
		}
	}

	if cell, ok := r.cells["tags"]; ok {
		h.Tags = strings.FieldsFunc(cell, func(c rune) bool { return c == ',' || c == ' ' })
	}

	if cell, ok := r.cells["power"]; ok && cell != "" {
		h.Power.Method = core.PowerMethod(cell)
	}

	if cell, ok := r.cells["aliases"]; ok {
		var err error

		h.Aliases, err = addresses(cell)

		return err
	}

	return nil
}

func addresses(cell string) (list []core.MAC, err error) {
	for word := range strings.FieldsSeq(cell) {
		mac, err := core.ParseMAC(word)
		if err != nil {
			return nil, err
		}

		list = append(list, mac)
	}

	return list, nil
}
