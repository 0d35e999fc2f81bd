package engine

import (
	"context"
	"errors"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
)

// maxImport bounds the rows of one import: all of them are one write.
const maxImport = 2000

// ImportHosts takes a list of hosts over, all of them or none: a host that is
// there is changed, another one registered. With dry nothing is written, and the
// answer tells what would be. The error joins what is wrong, each fault a
// *core.Problem with the detail "line".
func (e *Engine) ImportHosts(ctx context.Context, who string, rows []core.ImportRow, dry bool) ([]core.Imported, error) {
	if len(rows) > maxImport {
		return nil, core.NewProblem(core.ErrInvalid, problem.HostImport, fmt.Sprintf("A list of %d hosts is too long; %d at most.", len(rows), maxImport))
	}

	var answer []core.Imported

	err := e.write(ctx, func(c *change) error {
		answer = nil

		var faults []error

		for i := range rows {
			did, err := c.importRow(&rows[i])

			var p *core.Problem
			if errors.As(err, &p) {
				faults = append(faults, p.With("line", rows[i].Line))

				continue
			}

			if err != nil {
				return err
			}

			answer = append(answer, did)
		}

		switch {
		case len(faults) > 0:
			return errors.Join(faults...)
		case dry:
			return errNothing
		default:
			return c.audit(deed{who: who, action: "host.import", object: "hosts", text: fmt.Sprintf("imported %d hosts", len(rows))})
		}
	})
	if err != nil {
		return nil, err
	}

	return answer, nil
}

func (c *change) importRow(row *core.ImportRow) (core.Imported, error) {
	did := core.Imported{Line: row.Line, MAC: row.MAC}

	old, err := c.host(row.MAC)

	switch {
	case errors.Is(err, core.ErrNotFound):
		fresh := core.Host{MAC: row.MAC}
		row.Edit(&fresh)
		fresh.MAC = row.MAC

		if fresh, err = c.engine.freshHost(&fresh); err != nil {
			return did, err
		}

		did.Name, did.New = fresh.Name, true

		return did, c.addHost(&fresh)
	case err != nil:
		return did, err
	}

	host := edited(&old, &old)
	row.Edit(&host)
	host = edited(&old, &host)
	did.Name, did.MAC, did.Changed = host.Name, host.MAC, core.Digest(host) != core.Digest(old)

	if err := c.engine.check(&host); err != nil || !did.Changed {
		return did, err
	}

	host.Stranger = false // an operator knows of it

	if _, err := c.forgetSecrets(&old, &host); err != nil {
		return did, err
	}

	if err := c.checkPower(&host); err != nil {
		return did, err
	}

	return did, cmpErr(c.moveAliases(host.MAC, old.Aliases, host.Aliases), func() error { return c.saveHost(&host) })
}
