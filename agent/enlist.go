package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"vetting/agent/wire"
)

// sayAgain is how often the console says that there is no run for the machine.
const sayAgain = 5 * time.Minute

// enlist makes this process part of the run: by the session of a process before
// it, or by hello and claim. errOver says that there is nothing to do.
func (a *agent) enlist(ctx context.Context) error {
	kept, err := openSession(&a.Config)
	if err != nil {
		a.say.Warn("starting anew", slog.String("error", err.Error()))
	}

	if kept != nil {
		a.session = kept

		rec := kept.look()
		a.say.Info("going on with the run", slog.String("state", string(rec.At)), slog.Int("epoch", rec.Claim.Epoch))

		if over(rec.At) {
			return errOver
		}

		return nil
	}

	if err := a.hello(ctx); err != nil {
		return err
	}

	return a.claim(ctx)
}

// hello says the first word, and sets the clock by the answer.
func (a *agent) hello(ctx context.Context) error {
	ip := a.IP
	if _, err := netip.ParseAddr(ip); err != nil {
		ip = ""
	}

	in := wire.Hello{
		ProtocolVersion: wire.Version, AgentVersion: name(a.Version), MAC: mac(a.MAC), IP: ip, BootID: name(a.BootID),
		Kernel: name(a.Kernel), Firmware: wire.FirmwareMode(a.FirmwareMode), SecureBoot: a.SecureBoot, ImageID: name(a.ImageID),
	}

	return a.beg(ctx, "hello", func(ctx context.Context) error {
		begin := time.Now()

		reply, err := a.client.Hello(ctx, a.Seed.BootToken, in)
		if err != nil {
			a.contact.failed(err)

			return err
		}

		a.contact.answered(nil)

		took := time.Since(begin)
		a.setClock(reply.ServerTime.Add(took/2), begin.Add(took))
		a.say.Info("the appliance answers", slog.String("run", a.Seed.Run), slog.String("state", string(reply.State)))

		if over(reply.State) || reply.State == wire.StateCompleted {
			return errOver
		}

		return nil
	})
}

// setClock sets the clock if it is off; now is what the clock says.
func (a *agent) setClock(right, now time.Time) {
	off := right.Sub(now.Round(0)) // wall clock against wall clock
	if off.Abs() <= clockSlack {
		return
	}

	if err := a.SetClock(right); err != nil {
		a.say.Error("the clock cannot be set", slog.Duration("off", off), slog.String("error", err.Error()))

		return
	}

	a.say.Info("clock set", slog.Duration("was_off", off))
}

// claim asks for the run and begins a session.
func (a *agent) claim(ctx context.Context) error {
	in := wire.Claim{BootID: name(a.BootID), Identity: identity(a.Identity)}

	return a.beg(ctx, "claim", func(ctx context.Context) error {
		reply, err := a.client.Claim(ctx, a.Seed.BootToken, in)
		if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Status == http.StatusForbidden {
			return a.standAside(ctx, refusal)
		}

		if err != nil {
			return err
		}

		a.session = newSession(&a.Config)
		a.keep(func(r *record) {
			r.Claim, r.At = reply, reply.State
			r.override(reply.OverrideFlags, reply.OverrideUntil.Time)

			if _, runs := runnable(r.At); !runs && len(reply.Stages) > 0 {
				r.At = wire.State(reply.Stages[0].Name)
			}
		})

		a.say.Info("the run is ours", slog.String("profile", reply.Profile), slog.Int("epoch", reply.Epoch),
			slog.String("state", string(reply.State)), slog.Int("stages", len(reply.Stages)))

		return nil
	})
}

// standAside says on the console, again and again, what whoever stands before
// the machine must know, until ctx ends. It does not ask again: the boot token is
// spent, and every further use of it is an alarm.
func (a *agent) standAside(ctx context.Context, refusal *Refusal) error {
	say := "THIS MACHINE IS NOT THE REGISTERED ONE: the appliance does not give it the run, and no test runs here"
	if refusal.Code == wire.CodeTokenReused {
		say = "THE BOOT TOKEN WAS USED BEFORE: no test runs here; boot this machine again for a fresh one"
	}

	a.contact.stand(say)

	for {
		a.say.Error("no run for this machine", slog.String("why", say), slog.String("code", refusal.Code),
			slog.String("appliance_says", refusal.Message),
			slog.String("smbios_uuid", a.Identity.SMBIOSUUID), slog.String("board_serial", a.Identity.BoardSerial))

		if err := pause(ctx, sayAgain); err != nil {
			return err
		}
	}
}

// beg makes a call before there is a session: nothing is given up, since the
// operator may put right what the appliance objects to. errOver and ErrFenced
// end it.
func (a *agent) beg(ctx context.Context, what string, call func(context.Context) error) error {
	for {
		over := false

		err := insist(ctx, a.say, what, func(ctx context.Context) error {
			err := call(ctx)
			over = errors.Is(err, errOver) || meaningOf(err) == meansOver

			if over {
				return nil
			}

			return err
		})

		_, refused := errors.AsType[*Refusal](err)

		switch {
		case over:
			return errOver
		case err == nil:
			return nil
		case errors.Is(err, ErrFenced) || !refused:
			return err
		}

		a.say.Error("the appliance refuses", slog.String("call", what), slog.String("error", err.Error()))

		if err := pause(ctx, jitter(slowWait)); err != nil {
			return err
		}
	}
}
