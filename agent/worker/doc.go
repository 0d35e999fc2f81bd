// Package worker runs the tests that may bring their own process down: the
// program executes itself again, pinned and expendable, and hears over a pipe how
// it goes. A poisoned page, a CPU that jumps astray or the kernel's hunt for
// memory end the worker and not the agent, and become an Exit that says which of
// them it was.
//
// A kind of worker is a Func. The table of all kinds stands in cmd/vetting-agent,
// which hands it to Main when its first word is Word; a package that has one
// exports its Func and its name:
//
//	// Kind is this worker's name in the table of cmd/vetting-agent.
//	const Kind = "memory"
//
//	// Work is the worker: it tests the memory that its Job names.
//	func Work(ctx context.Context, c *worker.Child) error {
//		var job Job
//		if err := c.Config(&job); err != nil {
//			return err
//		}
//
//		// map and touch the memory …
//		c.Ready("61 GiB mapped")
//		c.Canary(plantAndFind(), "a flipped bit in the first chunk")
//
//		lane := c.Lane("chunk 0") // one for each thread that works
//		defer lane.End()
//
//		for !finished && ctx.Err() == nil {
//			// a block of at most 10 ms …
//			lane.Tick()
//			c.Progress(done, "march")
//		}
//
//		c.Say("pass", Pass{Bytes: n}) // whatever it is, as JSON
//
//		return nil
//	}
//
// The stage starts it and waits:
//
//	exit := runner.Run(ctx, worker.Spec{Kind: memory.Kind, Name: "node0", Config: job, CPUs: cpus}, func(m worker.Message) {
//		switch m.Type {
//		case worker.Progress: …
//		case worker.Event:    … // m.Kind is "pass", m.Decode(&pass)
//		}
//	})
//	findings = append(findings, exit.Findings(part)...)
//
// or Start, Send, Stop and Wait for workers that are told things meanwhile
// (Child.Commands).
//
// The rules of the conversation, each of which ends the worker when broken:
//   - The canary comes first: a planted fault that the worker's own check must
//     find. Until Canary was called nothing else but Ready counts, and a worker
//     that ends well without one has broken the contract.
//   - Every lane ticks at least each Spec.Silence; a lane that does not is a hang,
//     as is a process that says nothing at all.
//   - A worker whose context is done returns within Spec.Patience.
//   - Func returns nil when the test was done, whatever it found; an error says that
//     it could not be done. What was found travels by Say.
//
// A worker runs under nice 10 and is the kernel's first choice when memory runs
// out. Its garbage collector is off up to a limit, so that tested memory must come
// from mmap. Pin ties the calling goroutine to a CPU; blocks of assembly last
// 10 ms at most, since the runtime cannot interrupt them.
package worker
