package ui

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// notifiers gathers who is told of what, and what came of it last.
func (u *UI) notifiers(c *fiber.Ctx) (route.NotifierList, error) {
	list := route.NotifierList{Notifiers: []route.Notifier{}, Routes: []route.NotifyRoute{}}
	if u.cfg.Notifier == nil {
		return list, nil
	}

	for _, r := range u.cfg.Notifier.Routes() {
		list.Routes = append(list.Routes, route.NotifyRoute{
			Topics: append([]core.Topic{}, r.Topics...), Severities: append([]core.Severity{}, r.Severities...), To: append([]string{}, r.To...),
		})
	}

	shown := func(d *core.Delivery) *route.Delivery {
		if d == nil {
			return nil
		}

		out := route.NewDelivery(d)

		return &out
	}

	err := u.look(c, func(r core.Reader) error {
		for _, t := range u.cfg.Notifier.Targets() {
			last, err := lookup.LastDelivery(r, t.Name)
			if err != nil {
				return err
			}

			tested, err := lookup.LastTest(r, t.Name)
			if err != nil {
				return err
			}

			list.Notifiers = append(list.Notifiers, route.Notifier{
				Name: t.Name, Kind: string(t.Kind), Attempts: t.Attempts, Last: shown(last), Tested: shown(tested),
			})
		}

		return nil
	})

	return list, err
}

func (u *UI) listNotifiers(c *fiber.Ctx) error {
	list, err := u.notifiers(c)

	return shown(c, http.StatusOK, list, err)
}

// tryNotifier sends a test message, and takes down who had it sent.
func (u *UI) tryNotifier(c *fiber.Ctx) (core.Delivery, error) {
	name := param(c, "name")
	if u.cfg.Notifier == nil {
		return core.Delivery{}, core.NewProblem(core.ErrNotFound, problem.NotifyUnknown, "This appliance has no notifiers; its configuration names none.")
	}

	outcome, err := u.cfg.Notifier.Test(c.UserContext(), name)
	if err != nil {
		return outcome, err
	}

	did := "sent a test message to the notifier "
	if !outcome.OK {
		did = "tried to send a test message to the notifier "
	}

	return outcome, u.writeAudit(c.UserContext(), core.Audit{
		Who: caller(c).Name, Action: "notifier.test", Object: "notifier/" + outcome.Target, Text: did + outcome.Target,
	})
}

// sendAgain sends a message once more that did not arrive, and takes down who wanted it.
func (u *UI) sendAgain(c *fiber.Ctx) (core.Delivery, error) {
	if u.cfg.Notifier == nil {
		return core.Delivery{}, core.NewProblem(core.ErrNotFound, problem.NotifyUnknown, "This appliance has no notifiers; its configuration names none.")
	}

	event, err := strconv.ParseUint(param(c, "event"), 10, 64)
	if err != nil {
		return core.Delivery{}, core.NewProblem(core.ErrInvalid, "request/bad-number", "The event must be a whole number, as the delivery log has it.")
	}

	outcome, err := u.cfg.Notifier.Again(c.UserContext(), event, param(c, "target"))
	if err != nil {
		return outcome, err
	}

	did := "sent the message about event %d to the notifier %s again"
	if !outcome.OK {
		did = "tried to send the message about event %d to the notifier %s again"
	}

	return outcome, u.writeAudit(c.UserContext(), core.Audit{
		Who: caller(c).Name, Action: "notifier.resend", Object: "notifier/" + outcome.Target, Host: outcome.Host, Run: outcome.Run, Text: fmt.Sprintf(did, event, outcome.Target),
	})
}

func (u *UI) resendDelivery(c *fiber.Ctx) error {
	outcome, err := u.sendAgain(c)

	return shown(c, http.StatusOK, route.NewDelivery(&outcome), err)
}

// resendOnPage sends a message again and shows what came of it.
func (u *UI) resendOnPage(c *fiber.Ctx) error {
	outcome, err := u.sendAgain(c)

	switch {
	case mendable(err):
		return u.showNotifications(c, nil, nil, err)
	case err != nil:
		return err
	default:
		return u.showNotifications(c, &outcome, nil, nil)
	}
}

func (u *UI) testNotifier(c *fiber.Ctx) error {
	outcome, err := u.tryNotifier(c)

	return shown(c, http.StatusOK, route.NewDelivery(&outcome), err)
}

// deliveries reads the page of outcomes that a request asks for.
func (u *UI) deliveries(c *fiber.Ctx) (list route.DeliveryList, filter lookup.DeliveryFilter, err error) {
	page, err := paging(c)
	if err != nil {
		return list, filter, err
	}

	filter.Target = c.Query("target")
	if filter.Failed, err = yes(c, "failed"); err != nil {
		return list, filter, err
	}

	list.Deliveries = []route.Delivery{}

	err = u.look(c, func(r core.Reader) error {
		found, next, err := lookup.Deliveries(r, filter, page)
		for i := range found {
			list.Deliveries = append(list.Deliveries, route.NewDelivery(&found[i]))
		}

		list.NextPageToken = next

		return err
	})

	return list, filter, err
}

func (u *UI) listDeliveries(c *fiber.Ctx) error {
	list, _, err := u.deliveries(c)

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) notificationsPage(c *fiber.Ctx) error { return u.showNotifications(c, nil, nil, nil) }

// showNotifications shows who is told of what and what came of it, with the outcome of a
// test just made, or with a notifier as it was typed and what is wrong with it.
func (u *UI) showNotifications(c *fiber.Ctx, test *core.Delivery, typed *view.Notifying, why error) (err error) {
	page := &view.Notifications{}

	if page.Frame, err = u.settingsFrame(c, "Notifications", "rack", why); err != nil {
		return err
	}

	page.Frame.Here = "/notifications"

	if err := u.readOwn(c, page, typed); err != nil {
		return err
	}

	if test != nil {
		outcome := route.NewDelivery(test)
		page.Test, page.Frame.Follows = &outcome, ""
	}

	if page.List, err = u.notifiers(c); err != nil {
		return err
	}

	log, filter, err := u.deliveries(c)
	if err != nil {
		return err
	}

	page.Log, page.Next, page.Target, page.Failed = log.Deliveries, log.NextPageToken, filter.Target, filter.Failed

	return draw(c, view.ShowNotifications(page))
}

// testOnPage sends a test message and shows what came of it.
func (u *UI) testOnPage(c *fiber.Ctx) error {
	outcome, err := u.tryNotifier(c)
	if err != nil {
		return err
	}

	return u.showNotifications(c, &outcome, nil, nil)
}

// readOwn looks which notifiers were set up in the console, for those who may change them.
func (u *UI) readOwn(c *fiber.Ctx, page *view.Notifications, typed *view.Notifying) error {
	if u.cfg.Steering == nil || !caller(c).Scope.Allows(route.Admin) {
		return nil
	}

	if typed == nil {
		typed = &view.Notifying{Kind: c.Query("kind"), Events: []core.Topic{core.StageFailed, core.HoldingOpened, core.RunCompleted, core.Alarm}}
	}

	if page.New = typed; typed.Kind != "" {
		page.Frame.Follows = "" // what is typed stays
	}

	own, err := u.cfg.Steering.OwnNotifiers(c.UserContext())
	page.Own = own

	return err
}
