package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"vetting/agent/wire"
)

// ErrFenced says that a newer boot of this machine has taken the run over, or
// that the boot token is past: this process must not touch anything any more,
// and starting it again does not help.
var ErrFenced = errors.New("a newer boot has taken the run over")

const (
	firstWait = time.Second
	longWait  = 15 * time.Second // between tries while the appliance is away
	slowWait  = time.Minute      // between tries it is not going to grant soon
	maxFaults = 20               // answers of 500 to one message, in five minutes: it is the message
)

// meaning says what an error of a call means for the caller.
type meaning int

const (
	meansAway    meaning = iota // try again soon
	meansBarred                 // try again slowly: the appliance does not want us now
	meansRefused                // never try this message again
	meansOver                   // the run is over: it takes nothing more
	meansFenced                 // stop altogether
)

func meaningOf(err error) meaning {
	var r *Refusal
	if !errors.As(err, &r) {
		return meansAway
	}

	switch r.Status {
	case http.StatusGone:
		if r.Code != wire.CodeOldEpoch && (over(r.State) || r.State == wire.StateCompleted) {
			return meansOver
		}

		return meansFenced
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return meansBarred
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return meansRefused
	default:
		return meansAway
	}
}

// insist makes a call until it succeeds, the run is fenced (ErrFenced), ctx ends,
// or the message is refused for good (the error is a *Refusal): because it makes
// no sense, because the run is over, or because the appliance breaks over it each
// time. Trouble is logged when it begins and when it is over.
func insist(ctx context.Context, log *slog.Logger, what string, call func(context.Context) error) error {
	wait, said, broke := firstWait, "", 0

	for {
		err := call(ctx)
		if isFault(err) {
			broke++
		}

		switch means := meaningOf(err); {
		case err == nil:
			if said != "" {
				log.Info("the appliance answers again", slog.String("call", what))
			}

			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case means == meansFenced:
			return errors.Join(ErrFenced, err)
		case means == meansRefused || means == meansOver || broke >= maxFaults:
			return err
		case means == meansBarred:
			wait = slowWait
		}

		if now := err.Error(); now != said {
			said = now

			log.Warn("trying again", slog.String("call", what), slog.String("error", now))
		}

		if err := pause(ctx, max(jitter(wait), retryAfter(err))); err != nil {
			return err
		}

		wait = min(2*wait, longWait)
	}
}

// isFault reports whether the appliance broke over the message.
func isFault(err error) bool {
	r, ok := errors.AsType[*Refusal](err)

	return ok && r.Status == http.StatusInternalServerError
}

func retryAfter(err error) time.Duration {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.RetryAfter
	}

	return 0
}

// jitter spreads a wait over half of it, so that machines that lost the
// appliance at one moment do not come back at one moment.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // a spread, not a secret
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
