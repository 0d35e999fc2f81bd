package canned

import (
	"context"
	"errors"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/notify"
	"vetting/ui/view"
)

// Notifier is ui.Notifier: two targets, of which one answers.
type Notifier struct{}

// Targets is of ui.Notifier.
func (Notifier) Targets() []notify.TargetInfo {
	return []notify.TargetInfo{{Name: "phone", Kind: notify.Ntfy, Attempts: 1}, {Name: "ops-mail", Kind: notify.SMTP, Attempts: 3}}
}

// Routes is of ui.Notifier.
func (Notifier) Routes() []notify.Route {
	return []notify.Route{
		{Topics: []core.Topic{core.StageFailed, core.HoldingOpened}, To: []string{"phone", "ops-mail"}},
		{Severities: []core.Severity{core.Critical, core.Warning}, To: []string{"ops-mail"}},
	}
}

// Counts is of ui.Notifier.
func (Notifier) Counts() []notify.Count {
	return []notify.Count{{Target: "phone", OK: true, N: 4}, {Target: "ops-mail", N: 1}}
}

// Again is of ui.Notifier: the mail about event 7 has not arrived.
func (Notifier) Again(_ context.Context, event uint64, target string) (core.Delivery, error) {
	if event != 7 || target != "ops-mail" {
		return core.Delivery{}, core.NewProblem(core.ErrConflict, problem.NotifyArrived, "This message has arrived; it is not sent twice.")
	}

	return core.Delivery{Event: event, Topic: core.SpecMismatch, Severity: core.Critical, Target: target, Kind: "smtp", OK: true, Attempts: 1, Time: Now(), Text: "rack3-u18: Spec mismatch"}, nil
}

// Test is of ui.Notifier.
func (Notifier) Test(_ context.Context, target string) (core.Delivery, error) {
	d := core.Delivery{Target: target, Kind: "ntfy", Severity: core.Info, Text: "vetting: this is a test", Time: Now(), Took: 120 * time.Millisecond, Attempts: 1, OK: true}

	switch target {
	case "phone":
		return d, nil
	case "ops-mail":
		d.Kind, d.OK, d.Code, d.Detail = "smtp", false, problem.NotifyUnreachable, "dial tcp 192.0.2.25:587: connection refused"

		return d, nil
	default:
		return core.Delivery{}, core.NewProblem(core.ErrNotFound, problem.NotifyUnknown, "There is no such notifier.")
	}
}

// Expiring is what would go now.
func Expiring(context.Context) (route.Expiring, error) {
	due := Now().AddDate(0, 0, -1)

	return route.Expiring{Bytes: 52428800, Items: []route.ExpiringItem{
		{What: "log", Run: Run, Bytes: 1 << 20, Due: due},
		{What: "artifact", Run: Run, Name: "smart.bin", Bytes: 40960, Due: due},
		{What: "stray", Bytes: 51339264},
	}}, nil
}

// Settings is the configuration in force.
func Settings() []route.Setting {
	return []route.Setting{
		{Key: "data_dir", Value: "/var/lib/vetting", Origin: "file"},
		{Key: "netboot.interface", Value: "eth1", Origin: "flag", Pending: "eth2"},
		{Key: "notifiers.phone.token", Value: "[hidden]", Origin: "file"},
	}
}

// sent writes what came of notifications.
func sent(txn core.Txn, scene Scene) error {
	words := core.Delivery{Text: "rack3-u18: Spec mismatch", Detail: "the server said 429 Too Many Requests"}
	if scene == Hostile {
		words = core.Delivery{Text: Evil, Detail: Evil}
	}

	var faults []error

	for _, d := range []core.Delivery{
		{Event: 7, Topic: core.SpecMismatch, Severity: core.Critical, Target: "phone", Kind: "ntfy", OK: true, Attempts: 1, Run: Run, Text: words.Text},
		{Event: 7, Topic: core.SpecMismatch, Severity: core.Critical, Target: "ops-mail", Kind: "smtp", Attempts: 3, Code: problem.NotifyRefused, Run: Run, Text: words.Text, Detail: words.Detail},
		{Event: 5, Topic: core.RunCompleted, Severity: core.Info, Target: "phone", Kind: "ntfy", OK: true, Attempts: 1, Text: "rack3-u19: Run passed"},
		{Event: 0, Severity: core.Info, Target: "phone", Kind: "ntfy", OK: true, Attempts: 1, Text: "vetting: this is a test"},
	} {
		d.Time, d.Took = Now().Add(time.Duration(d.Event)*time.Minute-time.Hour), 250*time.Millisecond
		faults = append(faults, txn.Put(core.TableDelivery, core.DeliveryKey(d.Event, d.Target), d))
	}

	return errors.Join(faults...)
}

// Trouble is what is wrong with the appliance of the scene Broken.
func Trouble() *view.Trouble {
	return &view.Trouble{
		Code: "store/damaged", Text: "The ledger in /var/lib/vetting/store cannot be read:\n<table 7> has a wrong checksum.",
		Next: "Restore the newest backup with: vetting restore FILE",
	}
}
