package signal_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core/signal"
)

func TestReadersMissNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const last = 1000

		bell := signal.New()

		var mu sync.Mutex
		var ledger []uint64

		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				var cursor uint64
				for cursor < last {
					if _, wake := bell.After(cursor); wake != nil {
						<-wake
					}
					mu.Lock()
					batch := ledger[cursor:]
					mu.Unlock()
					for _, seq := range batch {
						if seq != cursor+1 {
							t.Errorf("reader %d: got %d after %d", i, seq, cursor)
						}
						cursor = seq
					}
					time.Sleep(time.Duration(i) * time.Second) // one slow, one slower
				}
			})
		}

		for seq := uint64(1); seq <= last; seq++ {
			mu.Lock()
			ledger = append(ledger, seq)
			mu.Unlock()
			bell.Ring(seq)
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
	})
}
