package coldplug

import "context"

// Source is what Follow hears.
type Source = source

// Follow loads what comes.
func (c Coldplug) Follow(ctx context.Context, events Source, loader *Loader) error {
	return c.follow(ctx, events, loader)
}
