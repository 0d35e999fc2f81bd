package probe

import "strings"

// SelfTester has network drivers test their ports.
type SelfTester interface {
	SelfTest(port string, offline bool) (PortTest, error)
}

// PortTest is what came of a port's own tests.
type PortTest struct {
	Tests  int      // that the driver has
	Failed bool     // as the driver says
	Wrong  []string // those that failed, by the driver's names
}

// NewPortTest makes a PortTest of a driver's names and results. Whether something failed
// says its flag alone: what a number means is each driver's own. Most say zero for what is
// well; those that know negative numbers say those for what is not, and positive ones for
// what is well.
func NewPortTest(names []string, results []uint64, failed bool) PortTest {
	t := PortTest{Tests: len(names), Failed: failed}
	if !failed {
		return t
	}

	signed := false
	for _, r := range results {
		signed = signed || int64(r) < 0 || int32(r) < 0 //nolint:gosec // that is what it is
	}

	for i, r := range results[:min(len(results), len(names))] {
		negative := int64(r) < 0 || int32(r) < 0 //nolint:gosec // as above
		if signed && negative || !signed && r != 0 {
			t.Wrong = append(t.Wrong, strings.Join(strings.Fields(names[i]), " "))
		}
	}

	return t
}
