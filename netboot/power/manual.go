package power

import "context"

// manual is a machine that a person switches.
type manual struct{}

func (manual) on(context.Context) error    { return outcome(ByHand, "") }
func (manual) off(context.Context) error   { return outcome(ByHand, "") }
func (manual) cycle(context.Context) error { return outcome(ByHand, "") }
func (manual) pxe(context.Context) error   { return outcome(ByHand, "") }

func (manual) state(context.Context) (State, error) {
	return Unknown, outcome(Unsupported, "nobody can be asked")
}
