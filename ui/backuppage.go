package ui

import (
	"context"
	"io"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core/route"
	"vetting/ui/view"
)

// backupPages registers the page of backups and its orders.
func (u *UI) backupPages(admin fiber.Handler) {
	u.app.Get("/settings/backup", admin, func(c *fiber.Ctx) error { return u.showBackups(c, nil, nil) })
	u.app.Post("/settings/backup", admin, u.makeBackupOnPage)
	u.app.Post("/settings/backup/download", admin, u.takeBackupOnPage) // before that of one by its name
	u.app.Post("/settings/backup/:name/verify", admin, u.verifyBackupOnPage)
	u.app.Post("/settings/backup/:name/download", admin, u.fetchBackupOnPage)
}

// showBackups shows the page, with what was just read or what went wrong.
func (u *UI) showBackups(c *fiber.Ctx, proof *route.BackupProof, why error) (err error) {
	page := &view.Backups{Proof: proof, Fresh: u.fresh(c), List: route.BackupList{Backups: []route.Backup{}}}

	if page.Frame, err = u.settingsFrame(c, "Backups", "", why); err != nil {
		return err
	}

	if u.cfg.Backups != nil {
		if page.List, err = u.cfg.Backups.Kept(c.UserContext()); err != nil {
			return err
		}
	}

	return draw(c, view.ShowBackups(page))
}

// proved shows what came of making or reading a backup.
func (u *UI) proved(c *fiber.Ctx, proof *route.BackupProof, err error) error {
	switch {
	case mendable(err):
		return u.showBackups(c, nil, err)
	case err != nil:
		return err
	default:
		return u.showBackups(c, proof, nil)
	}
}

func (u *UI) makeBackupOnPage(c *fiber.Ctx) error {
	from, err := u.backups()
	if err != nil {
		return u.showBackups(c, nil, err)
	}

	proof, err := u.makeBackup(c, from)

	return u.proved(c, &proof, err)
}

func (u *UI) verifyBackupOnPage(c *fiber.Ctx) error {
	from, err := u.backups()
	if err != nil {
		return u.showBackups(c, nil, err)
	}

	proof, err := u.proveBackup(c, from)

	return u.proved(c, &proof, err)
}

// fetchBackupOnPage sends a file that opens what the passwords in it open: a password that
// was typed a moment ago is asked for.
func (u *UI) fetchBackupOnPage(c *fiber.Ctx) error {
	from, err := u.backups()
	if err == nil {
		err = u.mustBeFresh(c, c.FormValue("password"))
	}

	if err != nil {
		return u.proved(c, nil, err)
	}

	name := param(c, "name")

	file, err := from.Open(c.UserContext(), name, caller(c).Name)
	if err != nil {
		return u.proved(c, nil, err)
	}

	u.sendFile(c, name, func(_ context.Context, w io.Writer) error {
		defer func() { _ = file.Close() }() // it was only read

		_, err := io.Copy(w, file)

		return err
	})

	return nil
}

// takeBackupOnPage sends a backup of this moment.
func (u *UI) takeBackupOnPage(c *fiber.Ctx) error {
	from, err := u.backups()
	if err == nil {
		err = u.mustBeFresh(c, c.FormValue("password"))
	}

	if err != nil {
		return u.proved(c, nil, err)
	}

	write, err := from.Begin(c.FormValue("keys") == "true", caller(c).Name)
	if err != nil {
		return u.proved(c, nil, err)
	}

	c.Status(http.StatusOK)
	u.sendFile(c, "vetting-"+u.cfg.Now().UTC().Format("20060102T150405Z")+".backup", write)

	return nil
}
