package notify_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/notify"
)

func TestAMessageThatDidNotArriveIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coretest.NewLedger(), notify.Config{
			Targets: []notify.Target{target("phone", 0), target("mail", 0)}, Routes: []notify.Route{{Topics: []core.Topic{core.StageFailed}, To: []string{"phone"}}},
		})
		b.courier.SetSender("phone", func(context.Context, string) error { return errors.New("no network") })

		stop := b.run()
		synctest.Wait()
		b.tell(core.StageFailed, core.Critical)
		synctest.Wait()
		stop()

		if was := b.came()["1 phone"]; was.OK {
			t.Fatalf("it arrived at once: %+v", was)
		}

		if o, err := b.courier.Again(t.Context(), 1, "phone"); err != nil || o.OK || o.Code == "" {
			t.Errorf("still no network: %+v, %v", o, err)
		}

		b.courier.SetSender("phone", func(_ context.Context, title string) error {
			b.note("sent: " + title)

			return nil
		})

		o, err := b.courier.Again(t.Context(), 1, "phone")
		if err != nil || !o.OK || o.Event != 1 || o.Topic != core.StageFailed || !slices.Contains(b.noted(), "sent: rack1-u01: "+o.Text[len("rack1-u01: "):]) {
			t.Errorf("%+v, %v: %q", o, err, b.noted())
		}

		if kept := b.ledger.Dump(core.TableDelivery); len(kept) != 1 {
			t.Errorf("%d outcomes are kept", len(kept))
		}

		for name, again := range map[string]struct {
			event  uint64
			target string
			want   error
		}{
			"one that has arrived":    {1, "phone", core.ErrConflict},
			"one of no such event":    {2, "phone", core.ErrNotFound},
			"one that went to nobody": {1, "mail", core.ErrNotFound},
			"a notifier of no name":   {1, "fax", core.ErrNotFound},
			"a test":                  {0, "phone", core.ErrNotFound},
		} {
			if _, err := b.courier.Again(t.Context(), again.event, again.target); !errors.Is(err, again.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
