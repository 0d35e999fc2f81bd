package engine

import (
	"context"
	"errors"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/core/spec"
)

// SetClass records what hosts of a model share, in place of what was there. It
// counts from their next runs on. only refuses the class as it is on record, the zero one where
// there is none, in the same write.
func (e *Engine) SetClass(ctx context.Context, who string, class core.Class, only ...func(*core.Class) error) (core.Class, error) {
	if class.Name == "" || !isWord(class.Name) || len(class.Notes) > maxNote || class.Notes != plain(class.Notes) {
		return core.Class{}, badHost("A model class needs a name of 1 to %d printable letters, and notes of %d bytes at most.", maxWord, maxNote)
	}

	if err := errors.Join(e.checkSpec(class.SpecYAML), profile.CheckOverride(class.Overrides)); err != nil {
		return core.Class{}, err
	}

	err := e.write(ctx, func(c *change) error {
		var was core.Class

		before := ""

		switch err := c.Get(core.TableClass, class.Name, &was); {
		case err == nil:
			before = core.Digest(was)
		case !errors.Is(err, core.ErrNotFound):
			return err
		}

		if err := holds(&was, only); err != nil {
			return err
		}

		if class.Golden != "" && class.Golden != was.Golden {
			golden, err := c.host(class.Golden)
			if err != nil {
				return err
			}

			class.Golden = golden.MAC
		}

		class.UpdatedAt, class.UpdatedBy = c.now, clip(who, maxWord)

		if err := c.Put(core.TableClass, class.Name, class); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "class.set", object: "class/" + class.Name, text: "set the model class " + class.Name,
			before: before, after: core.Digest(class),
		})
	})
	if err != nil {
		return core.Class{}, err
	}

	return class, nil
}

// DeleteClass forgets a model class; ErrConflict while a host names it.
func (e *Engine) DeleteClass(ctx context.Context, who, name string) error {
	return e.write(ctx, func(c *change) error {
		var class core.Class

		if name == "" || !isWord(name) || errors.Is(c.Get(core.TableClass, name, &class), core.ErrNotFound) {
			return core.NewProblem(core.ErrNotFound, problem.HostNoClass, fmt.Sprintf("There is no model class %.40q.", name))
		}

		err := c.Scan(core.TableHost, core.Query{}, func(_ string, decode func(any) error) error {
			var host core.Host
			if err := decode(&host); err != nil {
				return err
			}

			if host.Class == name {
				return core.NewProblem(core.ErrConflict, problem.HostClassUsed, fmt.Sprintf(
					"%s is of the model class %s; give it another first.", host.Name, name)).With("host", string(host.MAC))
			}

			return nil
		})
		if err != nil {
			return err
		}

		if err := c.Delete(core.TableClass, name); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "class.delete", object: "class/" + name, text: "deleted the model class " + name, before: core.Digest(class),
		})
	})
}

// classOf reads what a host shares; the zero class when it has none.
func (c *change) classOf(host *core.Host) (class core.Class, err error) {
	if host.Class == "" {
		return class, nil
	}

	err = c.Get(core.TableClass, host.Class, &class)
	if errors.Is(err, core.ErrNotFound) {
		return core.Class{}, nil // a name to sort by, as yet
	}

	return class, err
}

// expected returns the spec that counts for a host, and where it comes from.
func expected(host *core.Host, class *core.Class) (yaml, from string) {
	switch {
	case host.SpecYAML != "":
		return host.SpecYAML, "host"
	case class.SpecYAML != "":
		return class.SpecYAML, "class " + class.Name
	default:
		return "", ""
	}
}

// LearnSpec writes the spec that the machine of a run would fulfil, from the
// inventory the run took and the power supplies that it saw at work. It is only shown: whoever reads it decides whether it
// shall count.
func (e *Engine) LearnSpec(ctx context.Context, run core.RunID) (yaml string, err error) {
	var (
		inventory core.Inventory
		known     core.Run
	)

	err = e.Ledger.View(ctx, func(r core.Reader) error {
		if err := readRun(r, run, &known); err != nil {
			return err
		}

		err := r.Get(core.TableInventory, string(run), &inventory)
		if errors.Is(err, core.ErrNotFound) {
			return core.NewProblem(core.ErrConflict, problem.SpecNoInventory,
				"This run took no inventory; learn from one that came past InventoryCheck.")
		}

		return err
	})
	if err != nil {
		return "", err
	}

	learned := spec.Learn(&inventory)
	learned.LearnPSUs(known.Stages)

	yaml, err = e.WriteSpec(learned)
	if err != nil {
		return "", fmt.Errorf("writing the spec learned from run %s: %w", run, err)
	}

	return yaml, nil
}
