package drill_test

import (
	"testing"
	"time"

	"vetting/agent/cpu/drill"
)

const moment = 50 * time.Millisecond

func numbers(t *testing.T) (cpus []int) {
	t.Helper()

	for _, thread := range pair(t) {
		cpus = append(cpus, thread.Number)
	}

	return cpus
}

func TestSoundCPUsExchangeWithoutMistakes(t *testing.T) {
	cpus := numbers(t)

	for _, test := range drill.Exchanges() {
		begin := time.Now()

		turns, mistakes, failed := drill.Trade(t.Context(), test, cpus, moment, nil)
		if turns == 0 || len(mistakes) > 0 || failed != "" {
			t.Errorf("%s: %d turns, mistakes %v, %s", test, turns, mistakes, failed)
		}

		t.Logf("%s: %d turns in %v", test, turns, time.Since(begin))
	}
}

func TestEveryExchangeFindsWhatGoesWrong(t *testing.T) {
	cpus := numbers(t)

	for _, test := range drill.Exchanges() {
		var (
			mistakes []drill.Mistake
			failed   string
		)

		// On a machine with much else to do a moment may end before the third turn.
		for length := moment; len(mistakes) == 0 && failed == "" && length < time.Minute; length *= 2 {
			_, mistakes, failed = drill.Trade(t.Context(), test, cpus, length, &drill.Fault{Block: 3, Lane: 5, Bit: 9})
		}

		if len(mistakes) == 0 || failed != "" {
			t.Errorf("%s: mistakes %v, %s", test, mistakes, failed)

			continue
		}

		m := mistakes[0]
		if m.Test != test || m.Detail == "" || m.From == m.To && test != "lock" {
			t.Errorf("%s: %+v", test, m)
		}
	}
}

func TestAnExchangeThatDoesNotMoveIsNoPass(t *testing.T) {
	if _, _, failed := drill.Trade(t.Context(), "no such", numbers(t), moment, nil); failed == "" {
		t.Error("an unknown exchange passed")
	}

	if _, _, failed := drill.Trade(t.Context(), "mail", []int{0, 100_000}, moment, nil); failed == "" {
		t.Error("an exchange with a CPU that is not there passed")
	}
}

func TestTheCanaryBetweenCPUs(t *testing.T) {
	if caught, what := drill.BetweenCanary(); !caught || what == "" {
		t.Errorf("%v %q", caught, what)
	}
}
