package agent

import (
	"context"
	"log/slog"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// lamp is a light that is on, or could not be switched on, for as long as it is wished.
type lamp struct {
	wish wire.Locate
	off  context.CancelFunc
	done chan struct{}
}

// shine has the part of a held machine found by its light that the order names, and by no
// other; not before the stage that was stopped is over, too. It waits until the light before is off, which takes two seconds at most.
// The light of a slot whose time is over is put out, unless this agent did so already: an enclosure
// keeps it on where the agent that had it on died, or the machine was started anew.
func (c *conductor) shine(ctx context.Context, o wire.Order) {
	wish := o.Locate
	if !holds(o) || c.work != nil || c.Light == nil {
		wish = nil
	}

	over := wish != nil && !time.Now().Before(wish.Until.Time)

	if l := c.lamp; l != nil && (wish == nil || over || !same(&l.wish, wish)) {
		l.off()
		<-l.done
		c.lamp = nil
	}

	if wish == nil || c.lamp != nil || over && (wish.Kind != core.LightDisk || same(&c.shone, wish)) {
		return
	}

	c.shone = *wish

	// Whatever the two clocks are, it ends; at once, where its time is over.
	ctx, off := context.WithTimeout(ctx, min(time.Until(wish.Until.Time), core.LightMost))
	c.lamp = &lamp{wish: *wish, off: off, done: make(chan struct{})}

	go c.glow(ctx, *wish, c.lamp.done)
}

func same(a, b *wire.Locate) bool {
	return a.Kind == b.Kind && a.Name == b.Name && a.Until.Equal(b.Until.Time)
}

// glow keeps a light on until ctx ends, and says in the log of the run what came of it.
func (a *agent) glow(ctx context.Context, wish wire.Locate, done chan<- struct{}) {
	defer close(done)

	part := slog.String(wish.Kind, wish.Name)

	err := a.Light(ctx, wish.Kind, wish.Name, func(where string) {
		a.say.Info("a light shows the part", part, slog.String("where", where), slog.Time("until", wish.Until.Time))
	})
	if err != nil {
		a.say.Warn("no light shows the part", part, slog.String("why", err.Error()))

		return
	}

	a.say.Info("the light is off again", part)
}
