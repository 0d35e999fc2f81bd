package ui

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

func auditFilter(c *fiber.Ctx) (filter lookup.AuditFilter, err error) {
	filter.Who, filter.Action = c.Query("who"), c.Query("action")

	if text := c.Query("host"); text != "" {
		filter.Host, err = core.ParseMAC(text)
	}

	return filter, err
}

// trail reads the page of the audit trail that a request asks for.
func (u *UI) trail(c *fiber.Ctx) (list route.AuditList, filter lookup.AuditFilter, err error) {
	if filter, err = auditFilter(c); err != nil {
		return list, filter, err
	}

	page, err := paging(c)
	if err != nil {
		return list, filter, err
	}

	err = u.look(c, func(r core.Reader) (err error) {
		list.Entries, list.NextPageToken, err = lookup.Audit(r, filter, page)

		return err
	})

	return list, filter, err
}

// writeAudit takes down what somebody does that changes no record.
func (u *UI) writeAudit(ctx context.Context, entry core.Audit) error {
	entry.Time = u.cfg.Now().UTC()

	_, err := u.cfg.Ledger.Update(ctx, func(txn core.Txn) error { return core.WriteAudit(txn, entry) })

	return err
}

func (u *UI) listAudit(c *fiber.Ctx) error {
	list, _, err := u.trail(c)

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) auditPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Audit trail", "")
	if err != nil {
		return err
	}

	list, filter, err := u.trail(c)
	if err != nil {
		return err
	}

	return draw(c, view.ShowAudit(&view.Audit{
		Frame: frame, Rows: list.Entries, Next: list.NextPageToken, Who: filter.Who, Action: filter.Action, Host: filter.Host,
	}))
}
