package ui

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

func (u *UI) classesPage(c *fiber.Ctx) error { return u.showClasses(c, &view.Classes{}, nil) }

// showClasses shows the model classes, with what went wrong with an order.
func (u *UI) showClasses(c *fiber.Ctx, page *view.Classes, why error) (err error) {
	if page.Frame, err = u.frame(c, "Model classes", ""); err != nil {
		return err
	}

	page.Frame.Active, page.Profiles = "/hosts", u.cfg.Commands.Profiles()

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	if err := u.look(c, func(r core.Reader) error {
		hosts, err := lookup.AllHosts(r)
		if err != nil {
			return err
		}

		page.Counts = map[string]int{}
		for i := range hosts {
			page.Counts[hosts[i].Class]++
		}

		page.Rows, err = lookup.Classes(r)

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowClasses(page))
}

// saveClass records a class as its form says; what was typed stays in the form
// when it cannot be.
func (u *UI) saveClass(c *fiber.Ctx) error {
	typed := &view.ClassForm{
		Name: c.FormValue("name"), Spec: plainLines(c.FormValue("spec")), Notes: plainLines(c.FormValue("notes")), Golden: strings.TrimSpace(c.FormValue("golden")),
	}
	class := core.Class{Name: typed.Name, SpecYAML: typed.Spec, Notes: typed.Notes}

	var err error

	typed.Override, class.Overrides, err = typedOverride(c)

	if typed.Golden != "" {
		golden, bad := core.ParseMAC(typed.Golden)
		class.Golden, err = golden, errors.Join(err, bad)
	}

	if err == nil {
		_, err = u.cfg.Commands.SetClass(c.UserContext(), caller(c).Name, class, classAsSeen(c, &class))
	}

	if err != nil {
		typed.Seen, typed.Stale = stillSeen(c, err, ""), stale(err)

		return u.showClasses(c, &view.Classes{Typed: typed}, err)
	}

	return c.Redirect("/classes?done=class", http.StatusSeeOther)
}

func (u *UI) removeClass(c *fiber.Ctx) error {
	if err := u.cfg.Commands.DeleteClass(c.UserContext(), caller(c).Name, param(c, "name")); err != nil {
		return u.showClasses(c, &view.Classes{}, err)
	}

	return c.Redirect("/classes?done=class-removed", http.StatusSeeOther)
}

func (u *UI) showImportPage(c *fiber.Ctx) error { return u.showImport(c, "", nil, nil) }

// showImport shows the form that takes a list of hosts, with what came of one.
func (u *UI) showImport(c *fiber.Ctx, list string, result *route.ImportResult, why error) error {
	frame, err := u.frame(c, "Import hosts", "")
	if err != nil {
		return err
	}

	if why != nil && len(result.Rows) == 0 {
		result = nil
	}

	if err := explain(c, &frame, why); err != nil {
		return err
	}

	return draw(c, view.ShowImport(&view.Import{Frame: frame, List: list, Result: result}))
}

// readFile reads a file of a form; the listener has bounded its size.
func readFile(file *multipart.FileHeader) ([]byte, error) {
	in, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("opening the uploaded file: %w", err)
	}

	text, err := io.ReadAll(io.LimitReader(in, maxBody))

	return text, errors.Join(err, in.Close())
}
