// Gin: a slow answer survives the replacement of the program that gives it.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gohandover/handover"
)

// answer is what the next version changes:
//
//	go build -ldflags "-X main.answer=pong1"
var answer = "pong"

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	flag.Parse()

	r := gin.Default()
	r.GET("/ping", func(c *gin.Context) {
		time.Sleep(5 * time.Second)
		c.String(http.StatusOK, answer)
	})

	// Instead of r.Run(*addr).
	if err := handover.ListenAndServe(*addr, r); err != nil {
		log.Fatal(err)
	}
}
