//go:build bench

package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"vetting/core"
	"vetting/store"
)

const (
	benchAgents = 1000
	benchRounds = 5
	benchTime   = 2 * time.Second
)

// TestBenchIngest measures how many batches of 20 samples a second a thousand
// agents, each waiting for its answer before it sends the next, get onto stable
// storage. Rounds are interleaved, each on a fresh directory of one disk, and
// medians are printed. The peer is SQLite (modernc.org/sqlite, which is as free
// of C as we are) with journal_mode=WAL and synchronous=FULL, one connection, a
// prepared INSERT of the very bytes that we store (packed batch as BLOB, run,
// epoch and seq as primary key):
//
//   - store/ingest-vs-sqlite: the peer is given the same packing, and the same
//     grouping of up to 1,000 requests and 5 ms for each transaction, by the same rule;
//   - store/ingest-vs-sqlite-single: a transaction for each request, as SQLite is
//     commonly used behind an API;
//   - store/bytes-per-sample: what the last round left on the disk, both closed
//     and compacted or checkpointed.
func TestBenchIngest(t *testing.T) {
	if only := os.Getenv("BENCH"); only != "" && !strings.Contains("store/ingest-vs-sqlite-single store/bytes-per-sample", only) {
		t.Skip("not asked for")
	}

	kinds := []struct {
		name string
		run  func(*testing.T) (rate, bytes float64)
	}{{"ours", ingestOurs}, {"single", ingestSingle}, {"grouped", ingestGrouped}}

	rates, sizes := map[string][]float64{}, map[string]float64{}

	for round := range benchRounds {
		for _, k := range kinds {
			rate, size := k.run(t)
			rates[k.name] = append(rates[k.name], rate)
			sizes[k.name] = size
			t.Logf("round %d %s: %.0f batches/s, %.2f bytes/sample", round, k.name, rate, size)
		}
	}

	ours, single, grouped := median(rates["ours"]), median(rates["single"]), median(rates["grouped"])
	fmt.Printf("bench store/ingest-vs-sqlite ours=%.0f peer=%.0f ratio=%.2f unit=batches/s\n", ours, grouped, ours/grouped)
	fmt.Printf("bench store/ingest-vs-sqlite-single ours=%.0f peer=%.0f ratio=%.2f unit=batches/s\n", ours, single, ours/single)
	fmt.Printf("bench store/bytes-per-sample ours=%.2f peer=%.2f ratio=%.2f unit=B\n", sizes["ours"], sizes["grouped"], sizes["grouped"]/sizes["ours"])
}

func median(v []float64) float64 {
	slices.Sort(v)

	return v[len(v)/2]
}

// machine makes up what one host's sensors say: values that wander in the steps
// in which such sensors count.
type machine struct {
	run    core.RunID
	rng    *rand.Rand
	values [20]float64
	seq    uint64
}

func newMachine(n int) *machine {
	m := &machine{run: core.RunID(fmt.Sprintf("01JD%022d", n)), rng: rand.New(rand.NewPCG(uint64(n), 1))}
	for i := range m.values {
		m.values[i] = float64(30 + 10*i)
	}

	return m
}

func (m *machine) next() *core.SampleBatch {
	m.seq++
	at := time.Unix(1_790_000_000+int64(m.seq), int64(m.rng.IntN(1e9)))
	b := &core.SampleBatch{Run: m.run, Epoch: 1, Seq: m.seq, Samples: make([]core.Sample, len(m.values))}

	for i := range m.values {
		key, unit, step := "", "celsius", 1.0

		switch i % 4 {
		case 0:
			key = fmt.Sprintf("cpu/core%d/temperature_celsius", i)
		case 1:
			key, unit, step = fmt.Sprintf("fan/%d/speed_rpm", i), "rpm", 60
		case 2:
			key, unit, step = fmt.Sprintf("rail/%d/voltage_volts", i), "volts", 0.008
		case 3:
			key, unit, step = fmt.Sprintf("disk/S3YJNX0K%d/temperature_celsius", i), "celsius", 1
		}

		m.values[i] += step * float64(m.rng.IntN(3)-1)
		b.Samples[i] = core.Sample{Time: at, Key: key, Value: math.Round(m.values[i]*1000) / 1000, Unit: unit, Stage: "CPUStress"}
	}

	return b
}

// crowd runs the agents for the time of a round and returns batches a second.
func crowd(t *testing.T, keep func(*core.SampleBatch) error) (rate float64, batches int64) {
	t.Helper()

	var (
		wg   sync.WaitGroup
		done atomic.Int64
	)

	start := time.Now()

	for n := range benchAgents {
		wg.Go(func() {
			for m := newMachine(n); time.Since(start) < benchTime; done.Add(1) {
				if err := keep(m.next()); err != nil {
					t.Error(err)

					return
				}
			}
		})
	}

	wg.Wait()

	return float64(done.Load()) / time.Since(start).Seconds(), done.Load()
}

func ingestOurs(t *testing.T) (rate, bytes float64) {
	t.Helper()

	dir := t.TempDir()

	s, err := store.Open(t.Context(), store.Config{Dir: dir, Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}

	rate, batches := crowd(t, func(b *core.SampleBatch) error {
		_, err := s.Update(t.Context(), func(txn core.Txn) error {
			return txn.Put(core.TableSamples, fmt.Sprintf("%s/%06d/%012d", b.Run, b.Epoch, b.Seq), b)
		})

		return err
	})

	if err := s.Close(); err != nil {
		t.Error(err)
	}

	return rate, sizeOf(t, filepath.Join(dir, "ledger")) / float64(20*batches)
}

const insertBatch = "INSERT INTO samples VALUES (?, ?, ?, ?)"

func openSQLite(t *testing.T) (db *sql.DB, dir string) {
	t.Helper()

	dir = t.TempDir()

	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "peer.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		t.Fatal(err)
	}

	db.SetMaxOpenConns(1)

	_, err = db.ExecContext(t.Context(), "CREATE TABLE samples (run TEXT, epoch INTEGER, seq INTEGER, batch BLOB, PRIMARY KEY (run, epoch, seq)) WITHOUT ROWID")
	if err != nil {
		t.Fatal(err)
	}

	return db, dir
}

func closeSQLite(t *testing.T, db *sql.DB, dir string, batches int64) (bytes float64) {
	t.Helper()

	if _, err := db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Error(err)
	}

	if err := db.Close(); err != nil {
		t.Error(err)
	}

	return sizeOf(t, dir) / float64(20*batches)
}

func ingestSingle(t *testing.T) (rate, bytes float64) {
	t.Helper()

	db, dir := openSQLite(t)

	insert, err := db.PrepareContext(t.Context(), insertBatch)
	if err != nil {
		t.Fatal(err)
	}

	rate, batches := crowd(t, func(b *core.SampleBatch) error {
		_, err := insert.ExecContext(t.Context(), string(b.Run), b.Epoch, b.Seq, store.PackSamples(b))

		return err
	})

	return rate, closeSQLite(t, db, dir, batches)
}

type row struct {
	batch *core.SampleBatch
	blob  []byte
	done  chan error
}

func ingestGrouped(t *testing.T) (rate, bytes float64) {
	t.Helper()

	db, dir := openSQLite(t)

	insert, err := db.PrepareContext(t.Context(), insertBatch)
	if err != nil {
		t.Fatal(err)
	}

	rows, ended := make(chan row, benchAgents), make(chan struct{})

	go func() {
		defer close(ended)

		var began time.Time

		for {
			first, more := <-rows
			if !more {
				return
			}

			group := gather(rows, first, began)
			began = time.Now()
			err := insertAll(t, db, insert, group)

			for _, r := range group {
				r.done <- err
			}
		}
	}()

	rate, batches := crowd(t, func(b *core.SampleBatch) error {
		r := row{batch: b, blob: store.PackSamples(b), done: make(chan error, 1)}
		rows <- r

		return <-r.done
	})

	close(rows)
	<-ended

	return rate, closeSQLite(t, db, dir, batches)
}

// gather is our rule of grouping: what is there when 5 ms have passed since the
// last transaction began, 1,000 at most.
func gather(rows <-chan row, first row, began time.Time) []row {
	group := []row{first}
	timer := time.NewTimer(max(0, 5*time.Millisecond-time.Since(began)))

	defer timer.Stop()

	for waiting := true; len(group) < 1000; {
		if waiting {
			select {
			case r, more := <-rows:
				if !more {
					return group
				}

				group = append(group, r)
			case <-timer.C:
				waiting = false
			}

			continue
		}

		select {
		case r, more := <-rows:
			if !more {
				return group
			}

			group = append(group, r)
		default:
			return group
		}
	}

	return group
}

func insertAll(t *testing.T, db *sql.DB, insert *sql.Stmt, group []row) error {
	t.Helper()

	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		return err
	}

	in := tx.StmtContext(t.Context(), insert)
	defer in.Close()

	for _, r := range group {
		if _, err := in.ExecContext(t.Context(), string(r.batch.Run), r.batch.Epoch, r.batch.Seq, r.blob); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}

	return tx.Commit()
}

func sizeOf(t *testing.T, dir string) (total float64) {
	t.Helper()

	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}

		at, err := d.Info()
		if err == nil {
			total += float64(at.Size())
		}

		return err
	})
	if err != nil {
		t.Error(err)
	}

	return total
}
