package ui

import (
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/view"
)

// The ETags of records are of what people set of them, as forms see it: who writes on what they
// have read is not refused because a run has ended meanwhile. Empty: there is no such record.

func hostTag(h *core.Host) string {
	seen := view.SeenHost(h)

	return quoted(core.Digest([]string{seen.Edit, seen.Spec, seen.Overrides}))
}

func classTag(class *core.Class) string {
	if class.Name == "" {
		return ""
	}

	return quoted(view.SeenClass(class))
}

func baselineTag(b *core.FirmwareBaseline) string { return quoted(view.SeenBaseline(b)) }

func quoted(tag string) string { return `"` + tag + `"` }

// asRead refuses a write on another state than the one that its caller has read, if they say
// which (RFC 9110, section 13.1).
func asRead[T any](c *fiber.Ctx, tag func(*T) string) func(*T) error {
	read, none := c.Get(route.IfMatch), c.Get(fiber.HeaderIfNoneMatch)

	return func(record *T) error {
		is := tag(record)

		switch {
		case none == "*" && is != "":
			return core.NewProblem(core.ErrConflict, problem.RecordChanged, "It is there already, and If-None-Match asks for what is not. Nothing was written.")
		case read == "":
			return nil
		}

		for one := range strings.SplitSeq(read, ",") {
			if one = strings.TrimSpace(one); is != "" && (one == "*" || one == is) {
				return nil
			}
		}

		return core.NewProblem(core.ErrConflict, problem.RecordChanged,
			"What is on record is not what If-Match names: somebody has changed it since it was read. Nothing was written; read it again, and decide anew.")
	}
}

// tagged answers with a record and its ETag, or with what went wrong on the way to it.
func tagged[T any](c *fiber.Ctx, record *T, tag func(*T) string, err error) error {
	if err == nil {
		c.Set(fiber.HeaderETag, tag(record))
	}

	return shown(c, fiber.StatusOK, record, err)
}

func (u *UI) getClass(c *fiber.Ctx) error {
	var class core.Class

	err := u.look(c, func(r core.Reader) error {
		err := r.Get(core.TableClass, param(c, "name"), &class)
		if errors.Is(err, core.ErrNotFound) {
			return core.NewProblem(core.ErrNotFound, problem.HostNoClass, "There is no such model class.")
		}

		return err
	})

	return tagged(c, &class, classTag, err)
}
