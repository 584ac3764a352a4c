// Package logging writes the lines of a logger to a file or a pipe that may be slow, full or gone.
//
//	form := func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) }
//	q := logging.NewQueue(os.Stdout, logging.DefaultMaxBytes, form)
//	log := slog.New(form(q))
//	defer q.Close(time.Second)
//
// Loggers write lines into the queue, on event loops too, and never wait: one goroutine writes them out. The queue is
// bounded. Lines that find it full, and lines that cannot be written, are lost. They are counted, and the next line
// that can be written says how many were lost.
package logging
