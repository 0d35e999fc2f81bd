package engine

import (
	"context"
	"fmt"
	"io"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

// Serial reaches the serial consoles of hosts.
type Serial interface {
	// Serial opens the one of a host by the way that is named, within half a minute, or says in
	// the attempt why it cannot; takeOver ends the session that somebody else has there. The
	// caller closes it, which waits until the port was given back; its reads end in io.EOF or a
	// *core.Problem. Safe for concurrent use.
	Serial(ctx context.Context, order core.PowerOrder, takeOver bool) (io.ReadWriteCloser, core.PowerAttempt)
}

// OpenSerial opens the serial console of a host over its management controller. It is open to a
// host whose run needs the controller, too: a boot that goes wrong is what people look at there,
// and a controller has room for more than one session. Who opened it, and for how long, is for
// the caller to write down.
func (e *Engine) OpenSerial(ctx context.Context, mac core.MAC, takeOver bool) (io.ReadWriteCloser, error) {
	host, err := e.withController(ctx, mac)
	if err != nil {
		return nil, err
	}

	if e.Serial == nil || !slices.Contains(host.Power.Controllers(), core.PowerIPMI) {
		entry, _ := problem.Lookup(problem.SerialUnreachable)

		return nil, core.NewProblem(core.ErrConflict, problem.SerialUnreachable, fmt.Sprintf("%s: %s %s", host.Name, entry.Why, entry.Next))
	}

	if err := e.panels.refused(host.MAC, e.Clock.Now()); err != nil {
		return nil, err
	}

	order := core.PowerOrder{Host: host, Way: core.PowerIPMI}
	if err := e.equip(ctx, &order); err != nil {
		return nil, err
	}

	line, tried := e.Serial.Serial(ctx, order, takeOver)
	if tried.Code == "" {
		return line, nil
	}

	err = untold(&host, &core.PowerAnswer{Attempts: []core.PowerAttempt{tried}})
	if tried.Code == problem.PowerWrongPassword {
		e.panels.refuse(host.MAC, err, e.Clock.Now())
	}

	return nil, err
}
