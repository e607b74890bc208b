// Command apps is net/http on both ends.
//
//	apps server PORT [BACKEND]     GET /call/ID asks BACKEND/ID; any other path answers 200
//	apps client BASE PREFIX COUNT  asks BASE/PREFIX-0 … over one pooled connection
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: apps server PORT [BACKEND] | apps client BASE PREFIX COUNT")
	}
	switch os.Args[1] {
	case "server":
		backend := ""
		if len(os.Args) > 3 {
			backend = os.Args[3]
		}
		serve(os.Args[2], backend)
	case "client":
		ask(os.Args[2], os.Args[3], os.Args[4])
	default:
		log.Fatalf("unknown mode %s", os.Args[1])
	}
}

func serve(port, backend string) {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		call := strings.HasPrefix(r.URL.Path, "/call/")
		id := strings.TrimPrefix(r.URL.Path, "/call/")
		if !call || backend == "" {
			fmt.Fprint(w, "ok\n")
			return
		}
		// The caller's context, as a service would pass it on.
		request, err := http.NewRequestWithContext(r.Context(), "GET", backend+"/"+id, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		io.Copy(w, answer.Body)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("READY")
	log.Fatal(http.Serve(listener, nil))
}

func ask(base, prefix, count string) {
	n, err := strconv.Atoi(count)
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i < n; i++ {
		answer, err := http.Get(fmt.Sprintf("%s/%s-%d", base, prefix, i))
		if err != nil {
			log.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			log.Fatalf("status %d", answer.StatusCode)
		}
	}
	fmt.Println("READY")
}
