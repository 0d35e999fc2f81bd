package lookup

import (
	"cmp"
	"slices"

	"vetting/core"
)

// Trace is what was seen of the boots of one machine.
type Trace struct {
	MAC   core.MAC
	Steps []core.BootStep // oldest first, at least one
}

// Traces reads the boot traces of all machines, the one that was heard last first.
func Traces(r core.Reader) (all []Trace, err error) {
	err = r.Scan(core.TableBoot, core.Query{}, func(key string, decode func(any) error) error {
		var trace core.BootTrace

		if err := decode(&trace); err != nil {
			return err
		}

		if len(trace.Steps) > 0 {
			all = append(all, Trace{core.MAC(key), trace.Steps})
		}

		return nil
	})

	slices.SortFunc(all, func(a, b Trace) int {
		return cmp.Or(b.Steps[len(b.Steps)-1].Time.Compare(a.Steps[len(a.Steps)-1].Time), cmp.Compare(a.MAC, b.MAC))
	})

	return all, err
}

// Leases reads the addresses that were given, in the order of the addresses.
func Leases(r core.Reader) ([]core.Lease, error) {
	leases, _, err := list[core.Lease](r, core.TableLease, Page{Limit: 1 << 20})
	slices.SortFunc(leases, func(a, b core.Lease) int { return a.Addr.Compare(b.Addr) })

	return leases, err
}
