package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// DeleteHost takes a host out of service; its runs stay, and for Config.Trash it
// can be brought back as it was. Its addresses are free at once. ErrConflict while
// a run is not over.
func (e *Engine) DeleteHost(ctx context.Context, who string, mac core.MAC) error {
	err := e.write(ctx, func(c *change) error {
		host, err := c.host(mac)
		if err != nil {
			return err
		}

		if host.CurrentRun != "" {
			return core.NewProblem(core.ErrConflict, problem.HostBusy, fmt.Sprintf(
				"Run %s of %s is not over; cancel or release it first.", host.CurrentRun, host.Name)).With("run", string(host.CurrentRun))
		}

		before := core.Digest(host)

		if err := c.moveAliases(host.MAC, host.Aliases, nil); err != nil {
			return err
		}

		if err := c.Delete(core.TableHost, string(host.MAC)); err != nil {
			return err
		}

		if err := c.Delete(core.TablePresence, string(host.MAC)); err != nil {
			return err
		}

		host.DeletedAt, host.DeletedBy, host.OffDue = c.now, clip(who, maxWord), time.Time{}

		if err := c.Put(core.TableTrash, string(host.MAC), host); err != nil {
			return err
		}

		c.touch(host.MAC)

		if err := c.audit(deed{
			who: who, action: "host.delete", host: host.MAC, text: "deleted " + host.Name, before: before,
		}); err != nil {
			return err
		}

		return c.emit(core.EventHost, host.MAC, "", core.HostChange{Name: host.Name, Deleted: true})
	})
	if err == nil {
		e.presences.forget(mac)
	}

	return err
}

// UndeleteHost brings a deleted host back as it was. ErrNotFound when it was not
// deleted, or too long ago; ErrConflict when one of its addresses was given to
// another host since.
func (e *Engine) UndeleteHost(ctx context.Context, who string, mac core.MAC) (core.Host, error) {
	var host core.Host

	err := e.write(ctx, func(c *change) error {
		if parsed, err := core.ParseMAC(string(mac)); err != nil || parsed != mac {
			return noHost(mac)
		}

		err := c.Get(core.TableTrash, string(mac), &host)
		if errors.Is(err, core.ErrNotFound) {
			return core.NewProblem(core.ErrNotFound, problem.HostNotFound,
				fmt.Sprintf("There is no deleted host %s, or it was deleted too long ago; register it anew.", mac))
		}

		if err != nil {
			return err
		}

		if err := c.free(host.MAC, ""); err != nil {
			return err
		}

		if err := c.moveAliases(host.MAC, nil, host.Aliases); err != nil {
			return err
		}

		if err := c.Delete(core.TableTrash, string(mac)); err != nil {
			return err
		}

		host.DeletedAt, host.DeletedBy = time.Time{}, ""

		if err := c.Delete(core.TableSighting, string(host.MAC)); err != nil {
			return err
		}

		if err := c.saveHost(&host); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "host.undelete", host: host.MAC, text: "brought back " + host.Name, after: core.Digest(host),
		})
	})
	if err != nil {
		return core.Host{}, err
	}

	return host, nil
}

// trashed returns the addresses of the hosts that can be brought back.
func (c *change) trashed() (map[core.MAC]bool, error) {
	found := map[core.MAC]bool{}

	err := c.Scan(core.TableTrash, core.Query{}, func(_ string, decode func(any) error) error {
		var host core.Host
		if err := decode(&host); err != nil {
			return err
		}

		for _, mac := range macsOf(&host) {
			found[mac] = true
		}

		return nil
	})

	return found, err
}

// purge forgets a deleted host for good, with its secrets and the notes about it. Its runs
// stay, with theirs.
func (c *change) purge(mac core.MAC) error {
	c.engine.ladders.forget(mac)

	for _, table := range []core.Table{core.TableTrash, core.TableHostSecret, core.TableBoot} {
		if err := c.Delete(table, string(mac)); err != nil {
			return err
		}
	}

	if err := c.Delete(core.TableFirmware, firmwareOfHost+string(mac)); err != nil {
		return err
	}

	if err := c.forgetNotes(mac); err != nil {
		return err
	}

	return c.forgetKeys(mac)
}

// trashPause is how long the clock must have run evenly before anything is
// forgotten by it: a clock set wrong must not empty the trash.
const trashPause = 24 * time.Hour

// trashDay reports whether it is time to look into the trash.
func (e *Engine) trashDay() bool {
	if e.Uptime()-max(e.swept, e.jump.lastSet()) < trashPause {
		return false
	}

	e.swept = e.Uptime()

	return true
}

// emptyTrash forgets the hosts that were deleted long enough ago.
func (e *Engine) emptyTrash(ctx context.Context) {
	var old []core.MAC

	before := e.Clock.Now().Add(-e.Trash)

	err := e.Ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableTrash, core.Query{}, func(key string, decode func(any) error) error {
			var host core.Host
			if err := decode(&host); err != nil {
				return err
			}

			if host.DeletedAt.Before(before) {
				old = append(old, core.MAC(key))
			}

			return nil
		})
	})
	if err == nil && len(old) > 0 {
		err = e.write(ctx, func(c *change) error {
			for _, mac := range old {
				if err := c.purge(mac); err != nil {
					return err
				}
			}

			return nil
		})
	}

	if err != nil {
		e.Log.Error("deleted hosts cannot be forgotten", slog.String("error", err.Error()))
	}
}
