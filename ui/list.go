package ui

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/sheet"
	"vetting/ui/text"
	"vetting/ui/view"
)

// exportHosts sends all hosts as CSV.
func (u *UI) exportHosts(c *fiber.Ctx) error {
	var hosts []core.Host

	if err := u.look(c, func(r core.Reader) (err error) {
		hosts, err = lookup.AllHosts(r)

		return err
	}); err != nil {
		return err
	}

	return u.sendHosts(c, hosts)
}

// exportChosen sends those that were ticked, else those that the list is asked for, in
// its order.
func (u *UI) exportChosen(c *fiber.Ctx) error {
	chosen, err := ticked(queryList(c, "mac"))
	if err != nil {
		return err
	}

	var hosts []core.Host

	if err := u.look(c, func(r core.Reader) error {
		want := hostsWanted(c)

		rows, err := u.wantedHosts(r, &want)
		if err != nil {
			return err
		}

		for _, row := range want.Chosen(rows) {
			if len(chosen) == 0 || slices.Contains(chosen, row.Host.MAC) {
				hosts = append(hosts, row.Host)
			}
		}

		return nil
	}); err != nil {
		return err
	}

	return u.sendHosts(c, hosts)
}

func (u *UI) sendHosts(c *fiber.Ctx, hosts []core.Host) error {
	var lines []sheet.Line

	if err := u.look(c, func(r core.Reader) error {
		for i := range hosts {
			machine, err := lookup.Inventory(r, hosts[i].LastRun)
			if err != nil {
				return err
			}

			lines = append(lines, sheet.Line{Host: hosts[i], Machine: machine.System})
		}

		return nil
	}); err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.CSV)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="hosts.csv"`)

	return sheet.Write(c.Response().BodyWriter(), lines)
}

// decided is the last run of a host that came to a verdict; nil: none has.
func (u *UI) decided(r core.Reader, host *core.Host, run *core.Run) (*core.Run, error) {
	if run.Verdict != "" || host.LastRun == "" {
		if run.Verdict == "" {
			return nil, nil //nolint:nilnil // none is no fault
		}

		return run, nil
	}

	last, err := u.shelf.Run(r, host.LastRun)
	if err != nil || last.Verdict == "" {
		return nil, err
	}

	return last, nil
}

// hostsWanted is which hosts the address asks for.
func hostsWanted(c *fiber.Ctx) view.HostsWant {
	return view.ReadHostsWant(func(key string) string { return c.Query(key) }, queryList(c, "cols"))
}

// wantedHosts reads all hosts, with what is needed to choose and order those that are wanted.
func (u *UI) wantedHosts(r core.Reader, want *view.HostsWant) ([]view.HostRow, error) {
	rows, err := u.rows(r)
	if err != nil || !want.NeedsFacts() {
		return rows, err
	}

	for i := range rows {
		if rows[i].Run == nil {
			continue
		}

		if rows[i].Facts, err = u.shelf.Facts(r, rows[i].Run.ID); err != nil {
			return nil, err
		}

		if last := rows[i].Host.LastRun; rows[i].Facts == (lookup.Facts{}) && last != "" {
			if rows[i].Facts, err = u.shelf.Facts(r, last); err != nil {
				return nil, err
			}
		}
	}

	return rows, nil
}

func (u *UI) hostsPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Hosts", view.FollowsHosts)
	if err != nil {
		return err
	}

	page := view.Hosts{Frame: frame, Want: hostsWanted(c)}

	if err := u.look(c, func(r core.Reader) (err error) {
		if page.Trash, _, err = lookup.Trash(r, lookup.Page{Limit: lookup.DefaultLimit}); err != nil {
			return err
		}

		page.Rows, err = u.wantedHosts(r, &page.Want)

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowHosts(&page))
}

func (u *UI) importHosts(c *fiber.Ctx) error {
	dry, err := yes(c, "dry_run")
	if err != nil {
		return err
	}

	result, err := u.importList(c, c.Body(), dry)

	return shown(c, http.StatusOK, result, err)
}

// importList registers or changes the hosts of a list, all of them or none: a row
// that cannot be taken keeps the others out, and every such row is in the result
// and in the error. A dry run only says what would be done.
func (u *UI) importList(c *fiber.Ctx, list []byte, dry bool) (route.ImportResult, error) {
	result := route.ImportResult{DryRun: dry, Rows: []route.ImportRow{}}

	rows, err := sheet.Read(list)
	if err != nil {
		return result, err
	}

	wanted := make([]core.ImportRow, 0, len(rows))

	for i := range rows {
		row := &rows[i]
		if row.Err != nil {
			result.Rows = append(result.Rows, refusedRow(rows, row.Line, row.Err))

			continue
		}

		wanted = append(wanted, core.ImportRow{Line: row.Line, MAC: row.MAC, Edit: func(h *core.Host) {
			_ = row.Apply(h) // it could be applied when it was read, and looks at the row only
		}})
	}

	// Rows that cannot be read keep the others out; what is wrong with those is said
	// all the same.
	done, err := u.cfg.Commands.ImportHosts(c.UserContext(), caller(c).Name, wanted, dry || len(result.Rows) > 0)
	for _, fault := range problems(err) {
		line, ok := fault.Details["line"].(int)
		if !ok {
			return result, err // of the list as a whole
		}

		result.Rows = append(result.Rows, refusedRow(rows, line, fault))
	}

	switch {
	case len(result.Rows) > 0:
		slices.SortStableFunc(result.Rows, func(a, b route.ImportRow) int { return cmp.Compare(a.Line, b.Line) })

		return result, listRefused(&result)
	case err != nil:
		return result, err
	}

	for i := range done {
		count(&result, &done[i])
	}

	return result, nil
}

// count takes in what became of a row.
func count(result *route.ImportResult, done *core.Imported) {
	did := "kept"

	switch {
	case done.New:
		did = "added"
		result.Added++
	case done.Changed:
		did = "changed"
		result.Changed++
	}

	result.Rows = append(result.Rows, route.ImportRow{Line: done.Line, MAC: done.MAC, Name: done.Name, Did: did})
}

// refusedRow is a row that cannot be taken.
func refusedRow(rows []sheet.Row, line int, why error) route.ImportRow {
	row := route.ImportRow{Line: line, Did: "refused", Error: &route.ErrorDetail{Code: "host/bad-list", Message: why.Error()}}

	if found := problems(why); len(found) > 0 {
		row.Error = &route.ErrorDetail{Code: found[0].Code, Message: found[0].Message}
		if mac := holder(found[0]); mac != "" {
			row.Error.Details = map[string]any{"host": string(mac)}
		}
	}

	if i := slices.IndexFunc(rows, func(r sheet.Row) bool { return r.Line == line }); i >= 0 {
		row.MAC, row.Name = rows[i].MAC, rows[i].Name
	}

	return row
}

// listRefused says that nothing of a list was taken, and why.
func listRefused(result *route.ImportResult) error {
	return core.NewProblem(core.ErrInvalid, "host/bad-list", fmt.Sprintf(
		"Nothing was imported: %s cannot be taken. Correct the list and send it again.", text.Count(len(result.Rows), "row", "rows"))).
		With("rows", result.Rows)
}

// importPage takes a list that was put into the form or chosen as a file.
func (u *UI) importPage(c *fiber.Ctx) error {
	list := []byte(c.FormValue("list"))

	if file, err := c.FormFile("file"); err == nil && file.Size > 0 {
		if list, err = readFile(file); err != nil {
			return err
		}
	}

	result, err := u.importList(c, list, c.FormValue("dry") != "")

	return u.showImport(c.Status(http.StatusOK), string(list), &result, err)
}
