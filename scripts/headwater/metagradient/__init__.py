"""The exact derivative of a target's score with respect to every row's weight.

Training is deterministic, so the value F of a target's probe, at the window's end or
averaged over its checkpoints, is a function of the weights of all rows of the window.
Its derivative is found by going backwards through the updates (reverse mode; Maclaurin,
Duvenaud and Adams 2015; Engstrom et al. 2025, "metagradients"). One update, at step t
with the rate a, from the state (theta, m, v) and the raw gradient g of a batch:

    c      = min(1, clip / (|g| + 1e-6))
    m'     = b1 m + (1 - b1) c g           v' = b2 v + (1 - b2) (c g)^2
    theta' = (1 - a decay) theta - a / (1 - b1^t) m' / (sqrt(v' / (1 - b2^t)) + eps)

Backwards, the *adjoint* of a state is dF / d state. The adjoint of g, called u here,
gives a row's score, u . (gradient of its part of the loss), and enters the adjoint of
theta through the Hessian of the batch's loss: H u.

    adamw         one update, backwards: elementwise, no graph
    twice         what of a model must be written out, to be differentiated twice
    loss          the loss's change along a direction, and its gradient
    products      H u and u . grad L of each row: a tangent pass and a backward pass
    replay        the trainer's own steps again, and what each leaves for the way back
    storage       which states are kept, which are made again
    metric        F, and its gradient, at a checkpoint
    backward      the way back through one segment of the window
    stage         the whole, which goes on where it was killed
    draws         other trainings of the window, over which it is smoothed
    windows       the trainings of an experiment's window, ready to be gone through
    smoothness    how the adjoint grew, and what to do about it
    linearity     predictions beside what trainings do
"""
