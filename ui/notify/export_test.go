package notify

import "context"

type senderFunc func(ctx context.Context, title string) error

func (f senderFunc) send(ctx context.Context, m message) error { return f(ctx, m.title) }

// SetSender replaces how a target is spoken to.
func (c *Courier) SetSender(target string, send func(ctx context.Context, title string) error) {
	c.plan().desks[target].sender = senderFunc(send)
}
