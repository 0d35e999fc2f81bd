package lookup

import (
	"errors"
	"fmt"

	"vetting/core"
)

// DeliveryFilter chooses outcomes of notifications. An empty field chooses all.
type DeliveryFilter struct {
	Target string
	Failed bool // only those that did not arrive
}

func (f DeliveryFilter) chooses(d *core.Delivery) bool {
	return (f.Target == "" || f.Target == d.Target) && (!f.Failed || !d.OK)
}

// Deliveries lists what came of notifications, the newest first; tests are not
// among them. A page may be short and still have a next one.
func Deliveries(r core.Reader, filter DeliveryFilter, page Page) (list []core.Delivery, next string, err error) {
	list = []core.Delivery{}
	last, looked := "", 0

	err = r.Scan(core.TableDelivery, core.Query{After: page.After, Limit: mostLooked + 1, Reverse: true},
		func(key string, decode func(any) error) error {
			var d core.Delivery

			if err := decode(&d); err != nil {
				return err
			}

			if d.Event == 0 {
				return errEnough // only tests are left
			}

			if len(list) == page.Limit || looked == mostLooked {
				next = token(last)

				return errEnough
			}

			if filter.chooses(&d) {
				list = append(list, d)
			}

			last, looked = key, looked+1

			return nil
		})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", fmt.Errorf("reading what came of notifications: %w", err)
	}

	return list, next, nil
}

// LastDelivery returns what came of the newest message to a target, nil when none
// was sent lately; LastTest likewise of a test.
func LastDelivery(r core.Reader, target string) (*core.Delivery, error) {
	found, _, err := Deliveries(r, DeliveryFilter{Target: target}, Page{Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}

	return &found[0], nil
}

// LastTest returns what came of the last test of a target; nil: never tested.
func LastTest(r core.Reader, target string) (*core.Delivery, error) {
	found := &core.Delivery{}

	err := r.Get(core.TableDelivery, core.DeliveryKey(0, target), found)
	if errors.Is(err, core.ErrNotFound) {
		return nil, nil //nolint:nilnil // it was never tested
	}

	return found, err
}
