package ui

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/ui/text"
	"vetting/ui/view"
)

// seenField is what a form says of the state of the record that it was drawn from; one
// without it, such as that of a script, is taken as it comes.
const seenField = "seen"

// hostAsSeen refuses a form about a host that was saved by somebody else since the form was
// drawn; of reads what the form is about, differs what is on record where it is not what was
// typed.
func hostAsSeen(c *fiber.Ctx, of func(view.Seen) string, differs func(*core.Host) string) func(*core.Host) error {
	seen := c.FormValue(seenField)

	return func(host *core.Host) error {
		if seen == "" || of(view.SeenHost(host)) == seen {
			return nil
		}

		return changedMeanwhile("This host was changed", differs(host))
	}
}

// classAsSeen is hostAsSeen for a model class.
func classAsSeen(c *fiber.Ctx, typed *core.Class) func(*core.Class) error {
	seen := c.FormValue(seenField)

	return func(class *core.Class) error {
		switch {
		case seen == "" || view.SeenClass(class) == seen:
			return nil
		case seen == view.SeenClass(&core.Class{}):
			return changedMeanwhile("There is a model class of this name already, or it was added", view.ClassDifferences(typed, class))
		default:
			return changedMeanwhile("This model class was changed or removed", view.ClassDifferences(typed, class))
		}
	}
}

// baselineAsSeen is hostAsSeen for the firmware baseline.
func baselineAsSeen(c *fiber.Ctx) func(*core.FirmwareBaseline) error {
	seen := c.FormValue(seenField)

	return func(baseline *core.FirmwareBaseline) error {
		if seen == "" || view.SeenBaseline(baseline) == seen {
			return nil
		}

		return changedMeanwhile("The baseline was changed", "")
	}
}

// touched leaves of what was typed only what is not as the form was drawn: a field that
// nobody touched must not take back what somebody else has set meanwhile. A setting that
// both have changed is refused.
func touched(c *fiber.Ctx, fields view.Fields, values, typed map[string]string) error {
	var both []string

	for _, key := range slices.Sorted(maps.Keys(values)) {
		seen := c.Request().PostArgs().Peek(view.SeenSetting + key)

		switch is := text.Line(fields.Get(key).Wanted()); {
		case seen == nil:
		case string(seen) == values[key]:
			delete(values, key)
			delete(typed, key)
		case string(seen) == is:
		default:
			both = append(both, key+": "+is)
		}
	}

	if len(both) > 0 {
		return changedMeanwhile("Some of the settings were changed", strings.Join(both, "; "))
	}

	return nil
}

// changedMeanwhile refuses what was typed into a form that is no longer true.
func changedMeanwhile(what, stored string) error {
	said := what + " since this form was opened. Nothing was saved, and what you typed is still in the form."
	if stored != "" {
		said += " On record, and not as in the form: " + stored + "."
	}

	return core.NewProblem(core.ErrConflict, problem.FormStale, said+" Save again to put yours in its place.")
}

// stillSeen is what a form that is drawn again says it was drawn from: where it was refused
// because somebody else had saved, the person sees the record as it is now; for another
// reason, they have seen no more of it than before.
func stillSeen(c *fiber.Ctx, why error, now string) string {
	if was := c.FormValue(seenField); was != "" && !stale(why) {
		return was
	}

	return now
}

// stale reports whether a form was refused because somebody else had saved.
func stale(why error) bool {
	var known *core.Problem

	return errors.As(why, &known) && (known.Code == problem.FormStale || known.Code == problem.ProfileChanged)
}
