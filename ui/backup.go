package ui

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
)

// backupHandlers pairs the routes of backups with what answers them.
func (u *UI) backupHandlers() map[string]fiber.Handler {
	return map[string]fiber.Handler{
		"backups.list": u.listBackups, "backups.create": u.createBackup, "backups.get": u.getBackup,
		"backups.verify": u.verifyBackup, "backup.stream": u.streamBackup,
	}
}

// backups is who makes backups, or why there is nobody.
func (u *UI) backups() (Backups, error) {
	if u.cfg.Backups == nil {
		return nil, core.NewProblem(core.ErrConflict, problem.BackupNoFolder, "This appliance makes no backups.")
	}

	return u.cfg.Backups, nil
}

func (u *UI) listBackups(c *fiber.Ctx) error {
	if u.cfg.Backups == nil {
		return c.JSON(route.BackupList{Backups: []route.Backup{}})
	}

	list, err := u.cfg.Backups.Kept(c.UserContext())

	return shown(c, http.StatusOK, list, err)
}

// makeBackup makes one as a task.
func (u *UI) makeBackup(c *fiber.Ctx, from Backups) (route.BackupProof, error) {
	ctx, done := u.begin(c, "backup", "makes a backup", nil)
	defer done()

	made, err := from.Make(ctx, caller(c).Name)

	return made, u.stopped(ctx, err)
}

// proveBackup reads one from its beginning to its end, as a task.
func (u *UI) proveBackup(c *fiber.Ctx, from Backups) (route.BackupProof, error) {
	name := param(c, "name")

	ctx, done := u.begin(c, "backup-proof", "reads the backup "+name, nil)
	defer done()

	proof, err := from.Verify(ctx, name)

	return proof, u.stopped(ctx, err)
}

// stopped says so where a task has failed because somebody stopped it.
func (u *UI) stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && u.life.Err() == nil {
		return core.NewProblem(core.ErrConflict, "task/stopped", "This was stopped before its end; nothing half done was kept.")
	}

	return err
}

func (u *UI) createBackup(c *fiber.Ctx) error {
	from, err := u.backups()
	if err != nil {
		return err
	}

	made, err := u.makeBackup(c, from)

	return shown(c, http.StatusCreated, made, err)
}

func (u *UI) verifyBackup(c *fiber.Ctx) error {
	from, err := u.backups()
	if err != nil {
		return err
	}

	proof, err := u.proveBackup(c, from)

	return shown(c, http.StatusOK, proof, err)
}

// getBackup answers with a file that holds the passwords of BMCs, and keys where the
// configuration says so: who has only found a browser open does not get it.
func (u *UI) getBackup(c *fiber.Ctx) error {
	from, err := u.backups()
	if err != nil {
		return err
	}

	if err := u.mustBeFresh(c, ""); err != nil {
		return err
	}

	name := param(c, "name")

	file, err := from.Open(c.UserContext(), name, caller(c).Name)
	if err != nil {
		return err
	}

	u.sendFile(c, name, func(_ context.Context, w io.Writer) error {
		defer func() { _ = file.Close() }() // it was only read

		_, err := io.Copy(w, file)

		return err
	})

	return nil
}

// streamBackup answers with a backup that is made while it is sent. A page may send the
// password along, as a form does.
func (u *UI) streamBackup(c *fiber.Ctx) error {
	from, err := u.backups()
	if err != nil {
		return err
	}

	keys, err := yes(c, "keys")
	if err != nil {
		return err
	}

	if err := u.mustBeFresh(c, c.FormValue("password")); err != nil {
		return err
	}

	write, err := from.Begin(keys, caller(c).Name)
	if err != nil {
		return err
	}

	u.sendFile(c, "vetting-"+u.cfg.Now().UTC().Format("20060102T150405Z")+".backup", write)

	return nil
}

// sendFile answers with what write writes. Where that breaks off, so does the
// connection: a client must not take half of it for the whole.
func (u *UI) sendFile(c *fiber.Ctx, name string, write func(context.Context, io.Writer) error) {
	c.Set(fiber.HeaderContentType, route.Binary)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+name+`"`)
	c.Context().SetConnectionClose() // the write deadline would outlive the answer

	conn := c.Context().Conn() // c is recycled by the time it is sent
	ctx, done := u.begin(c, "backup", "sends the backup "+name, nil)

	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer done()

		stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // stopped, or the ledger closes once nobody reads in it
		defer stop()

		if err := write(ctx, patient{w, conn}); err != nil {
			u.cfg.Log.Error("a backup was not sent to its end", slog.String("error", err.Error()))

			_ = conn.Close()
		}
	})
}
