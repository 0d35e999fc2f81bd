package engine_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// wire is a serial port that opens, or ends in a code.
type wire struct {
	code   string
	orders []core.PowerOrder
	took   bool
}

func (w *wire) Serial(_ context.Context, order core.PowerOrder, takeOver bool) (io.ReadWriteCloser, core.PowerAttempt) {
	w.orders, w.took = append(w.orders, order), takeOver

	if w.code != "" {
		return nil, core.PowerAttempt{Way: order.Way, Action: "serial", Code: w.code}
	}

	return struct {
		io.Reader
		io.Writer
		io.Closer
	}{strings.NewReader("login: "), io.Discard, io.NopCloser(nil)}, core.PowerAttempt{Way: order.Way, Action: "serial"}
}

func TestASerialConsoleIsOpenedByIPMIWithThePassword(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		w := &wire{}
		r.tune = func(c *engine.Config) { c.Serial = w }
		r.restart()
		r.powered(1, core.PowerRedfish, core.PowerIPMI)
		r.powered(2, core.PowerRedfish)
		r.powered(3, core.PowerManual)

		if _, err := r.SetHostSecret(t.Context(), "op", coretest.MAC(1), core.HostSecret{BMCPassword: "s3cret"}); err != nil {
			t.Fatal(err)
		}

		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(3), func(h *core.Host) { h.Power.BMC = core.BMC{} }); err != nil {
			t.Fatal(err)
		}

		r.start(1) // how a machine boots is what people look at there

		line, err := r.OpenSerial(t.Context(), coretest.MAC(1), true)
		if err != nil {
			t.Fatal(err)
		}

		if text, err := io.ReadAll(line); string(text) != "login: " || err != nil || w.orders[0].Way != core.PowerIPMI || w.orders[0].Secret.BMCPassword != "s3cret" || !w.took {
			t.Errorf("%q %v: %+v", text, err, w)
		}

		for n, code := range map[int]string{2: "power/serial-no-ipmi", 3: "host/power-method", 9: "host/not-found"} {
			if _, err := r.OpenSerial(t.Context(), coretest.MAC(n), false); codeOf(err) != code || len(w.orders) != 1 {
				t.Errorf("host %d: %v", n, err)
			}
		}

		// One that refuses the password is not asked again: it would lock its user out.
		w.code = "power/wrong-password"

		for range 2 {
			if _, err := r.OpenSerial(t.Context(), coretest.MAC(1), false); codeOf(err) != w.code {
				t.Errorf("a wrong password: %v", err)
			}
		}

		if len(w.orders) != 2 {
			t.Errorf("asked %d times", len(w.orders))
		}

		r.clock.Advance(6 * time.Minute)

		w.code = "power/serial-taken"
		if _, err := r.OpenSerial(t.Context(), coretest.MAC(1), false); codeOf(err) != w.code || !strings.Contains(err.Error(), "--take-over") {
			t.Errorf("one that is in use: %v", err)
		}
	})
}
