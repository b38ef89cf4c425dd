;; What the scripts of both clients share; loaded before one of them.
(defun redraft-wait (seconds true)
  "Let messages in until TRUE returns something, for SECONDS at most."
  (let ((end (+ (float-time) seconds)) value)
    (while (and (not (setq value (funcall true))) (< (float-time) end))
      (accept-process-output nil 0.05))
    (unless value (message "GAVE UP") (kill-emacs 1))
    value))
