package lookup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

// KeyFilter chooses host keys. An empty field chooses all.
type KeyFilter struct {
	State core.HostKeyState
	Host  core.MAC
}

// ParseKeyState checks the state of a KeyFilter.
func ParseKeyState(s string) (core.HostKeyState, error) {
	switch state := core.HostKeyState(s); state {
	case "", core.HostKeyPending, core.HostKeyApproved, core.HostKeyRevoked:
		return state, nil
	default:
		return "", core.NewProblem(core.ErrInvalid, problem.BadKeyState,
			fmt.Sprintf("%.40q is not a state of a host key; choose pending, approved or revoked.", s))
	}
}

// HostKeys lists the keys of installed hosts: those that wait for approval first,
// then those in force; of each the newest first.
func HostKeys(r core.Reader, filter KeyFilter) ([]core.HostKey, error) {
	keys := []core.HostKey{}

	err := r.Scan(core.TableHostKey, core.Query{}, func(_ string, decode func(any) error) error {
		var key core.HostKey

		if err := decode(&key); err != nil {
			return err
		}

		if (filter.State == "" || key.State == filter.State) && (filter.Host == "" || key.Host == filter.Host) {
			keys = append(keys, key)
		}

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing host keys: %w", err)
	}

	order := []core.HostKeyState{core.HostKeyPending, core.HostKeyApproved, core.HostKeyRevoked}
	slices.SortStableFunc(keys, func(a, b core.HostKey) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})

	return keys, nil
}

// Presence reads what was last heard of a host's installed agent; nil when it
// never was.
func Presence(r core.Reader, mac core.MAC) (*core.Presence, error) {
	known := &core.Presence{}

	err := r.Get(core.TablePresence, string(mac), known)
	if errors.Is(err, core.ErrNotFound) {
		return nil, nil //nolint:nilnil // nothing was heard, and nothing went wrong
	}

	return known, err
}

// Presences lists what was last heard of installed hosts.
func Presences(r core.Reader) ([]core.Presence, error) {
	all, _, err := list[core.Presence](r, core.TablePresence, Page{Limit: 1 << 20})

	return all, err
}
