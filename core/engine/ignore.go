package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// IgnoreMachine takes a machine that was heard and is not registered out of the inbox
// until it is adopted or HeedMachine takes it back; both are written down. ErrNotFound
// when it was never heard, ErrConflict when too many are ignored.
func (e *Engine) IgnoreMachine(ctx context.Context, who string, mac core.MAC) (core.Sighting, error) {
	return e.regard(ctx, who, mac, true)
}

// HeedMachine takes an ignored machine back into the inbox. ErrNotFound as before.
func (e *Engine) HeedMachine(ctx context.Context, who string, mac core.MAC) (core.Sighting, error) {
	return e.regard(ctx, who, mac, false)
}

func (e *Engine) regard(ctx context.Context, who string, mac core.MAC, ignore bool) (core.Sighting, error) {
	var s core.Sighting

	err := e.write(ctx, func(c *change) error {
		err := c.Get(core.TableSighting, string(mac), &s)

		switch {
		case errors.Is(err, core.ErrNotFound):
			return core.NewProblem(core.ErrNotFound, problem.HostNotSeen,
				fmt.Sprintf("No machine with the address %.40q that is not registered was heard on the test network.", string(mac)))
		case err != nil:
			return err
		case !s.IgnoredAt.IsZero() == ignore:
			return errNothing
		}

		before := core.Digest(s)
		did, action := "took "+string(mac)+" back into the inbox", "inbox.heed"
		s.IgnoredAt, s.IgnoredBy = time.Time{}, ""

		if ignore {
			did, action = "ignored "+string(mac)+" in the inbox", "inbox.ignore"
			s.IgnoredAt, s.IgnoredBy = c.now, clip(who, maxWord)

			if err := roomToIgnore(c); err != nil {
				return err
			}
		}

		if err := c.Put(core.TableSighting, string(mac), s); err != nil {
			return err
		}

		return c.audit(deed{who: who, action: action, object: "machine/" + string(mac), host: mac, text: did, before: before, after: core.Digest(s)})
	})

	return s, err
}

func roomToIgnore(r core.Reader) error {
	ignored, err := ignoredMachines(r)
	if err == nil && len(ignored) >= core.MostIgnored {
		return core.NewProblem(core.ErrConflict, problem.HostManyIgnored, fmt.Sprintf(
			"%d machines are ignored, as many as can be; adopt some or take them back into the inbox.", len(ignored)))
	}

	return err
}

// ignoredMachines are the machines that people want to see no more of.
func ignoredMachines(r core.Reader) (map[core.MAC]bool, error) {
	ignored := map[core.MAC]bool{}

	err := r.Scan(core.TableSighting, core.Query{}, func(_ string, decode func(any) error) error {
		var s core.Sighting

		err := decode(&s)
		if err == nil && !s.IgnoredAt.IsZero() {
			ignored[s.MAC] = true
		}

		return err
	})

	return ignored, err
}
